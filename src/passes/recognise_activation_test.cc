#include <gtest/gtest.h>

#include "passes/recognise.h"
#include "passes/recognise_testing.h"

namespace quern {
namespace {

/// A graph of x: f32[2, 3] whose result is %y; `body` may use constants of some names.
std::string with_constants(std::string_view body) {
  return cat(R"(graph main(%in: f32[2, 3]) {
    %c0 = constant f32[] [0]
    %c1 = constant f32[] [1]
    %half = constant f32[] [0.5]
    %c3 = constant f32[] [3]
    %c6 = constant f32[] [6]
    %sqrt2 = constant f32[1] [1.4142135]
    %inverse_sqrt2 = constant f32[] [0.70710677]
    %slope = constant f32[] [0.7978846]
    %cubic = constant f32[] [0.044715]
    %sixth = constant f32[] [0.16666667]
    %quick = constant f32[] [1.702]
    %x = Abs(%in) )",
             body, " return %y }");
}

void expect_gelu(std::string_view body, std::string_view approximate) {
  SCOPED_TRACE(body);
  const Recognised found = expect_same_numbers(find_gelu, with_constants(body));
  EXPECT_EQ(found.ops(), "Abs Gelu");
  EXPECT_EQ(found.node("Gelu"),
            cat("%y = Gelu@20(%x) {approximate = \"", approximate, "\"} as last"));
}

void expect_none(FindFunction find, std::string_view text) {
  SCOPED_TRACE(text);
  EXPECT_EQ(recognised(find, text).hits, 0);
}

TEST(RecogniseGelu, ErfInAnyOrder) {
  for (const std::string_view argument :
       {"Div(%x, %sqrt2)", "Mul(%x, %inverse_sqrt2)", "Mul(%inverse_sqrt2, %x)"}) {
    for (const std::string_view rest : {
             "%a = Add(%e, %c1) %p = Mul(%x, %a) %y = Mul(%p, %half) as last",
             "%a = Add(%c1, %e) %h = Mul(%half, %x) %y = Mul(%a, %h) as last",
             "%a = Add(%e, %c1) %h = Mul(%half, %a) %y = Mul(%h, %x) as last",
             "%h = Mul(%half, %e) %a = Add(%h, %half) %y = Mul(%a, %x) as last",
             "%m = Mul(%e, %x) %a = Add(%x, %m) %y = Mul(%a, %half) as last",
         }) {
      expect_gelu(cat("%d = ", argument, " %e = Erf(%d) ", rest), "none");
    }
  }
}

TEST(RecogniseGelu, TanhInAnyOrder) {
  for (const std::string_view argument : {
           "%q = Pow(%x, %c3) %m = Mul(%q, %cubic) %s = Add(%x, %m) %t = Mul(%slope, %s)",
           "%q = Mul(%x, %x) %r = Mul(%q, %x) %m = Mul(%cubic, %r) %s = Add(%m, %x) "
           "%t = Mul(%s, %slope)",
           "%q = Mul(%x, %cubic) %r = Mul(%q, %x) %s = Add(%c1, %r) %m = Mul(%x, %slope) "
           "%t = Mul(%m, %s)",
       }) {
    for (const std::string_view rest : {
             "%h = Mul(%x, %half) %y = Mul(%h, %a) as last",
             "%h = Mul(%x, %a) %y = Mul(%h, %half) as last",
         }) {
      expect_gelu(cat(argument, " %e = Tanh(%t) %a = Add(%e, %c1) ", rest), "tanh");
    }
  }
}

TEST(RecogniseGelu, OthersStay) {
  constexpr std::string_view kHead = "%d = Div(%x, %sqrt2) %e = Erf(%d) ";
  constexpr std::string_view kTail = "%a = Add(%e, %c1) %p = Mul(%x, %a) %y = Mul(%p, %half)";
  // Another constant: in the argument, in the sum, in the product.
  expect_none(find_gelu, with_constants(cat("%d = Div(%x, %quick) %e = Erf(%d) ", kTail)));
  expect_none(find_gelu, with_constants(cat(
                             kHead, "%a = Add(%e, %half) %p = Mul(%x, %a) %y = Mul(%p, %half)")));
  expect_none(find_gelu,
              with_constants(cat(kHead, "%a = Add(%e, %c1) %p = Mul(%x, %a) %y = Mul(%p, %c3)")));
  // A product with another value.
  expect_none(find_gelu, with_constants(cat(
                             kHead, "%a = Add(%e, %c1) %p = Mul(%in, %a) %y = Mul(%p, %half)")));
  // An inner value used elsewhere, or an output.
  expect_none(
      find_gelu,
      with_constants(
          cat(kHead, "%a = Add(%e, %c1) %p = Mul(%x, %a) %q = Mul(%p, %half) %y = Add(%q, %e)")));
  expect_none(find_gelu, cat("graph main(%x: f32[2]) { %sqrt2 = constant f32[] [1.4142135] "
                             "%c1 = constant f32[] [1] %half = constant f32[] [0.5] ",
                             kHead, kTail, " return %y, %e }"));
  // An output of a body, which is no use.
  expect_none(find_gelu, cat("graph main(%x: f32[2], %c: bool[]) { "
                             "%sqrt2 = constant f32[] [1.4142135] "
                             "%c1 = constant f32[] [1] %half = constant f32[] [0.5] ",
                             kHead, kTail,
                             " %z = If(%c) {then_branch = graph () { return %e }, "
                             "else_branch = graph () { return %x }} return %y, %z }"));
  // A constant that makes the rank larger.
  expect_none(find_gelu, cat("graph main(%x: f32[2]) { %sqrt2 = constant f32[1, 1] [1.4142135] "
                             "%c1 = constant f32[] [1] %half = constant f32[] [0.5] ",
                             kHead, kTail, " return %y }"));
}

TEST(RecogniseGelu, HalfPrecisionConstants) {
  const Recognised found = recognised(find_gelu, R"(graph main(%in: f16[2, 3]) {
    %sqrt2 = constant f16[] [1.4140625]
    %one = constant f16[] [1]
    %half = constant f16[] [0.5]
    %d = Div(%in, %sqrt2)
    %e = Erf(%d)
    %a = Add(%e, %one)
    %p = Mul(%in, %a)
    %y = Mul(%p, %half)
    return %y
  })");
  EXPECT_EQ(found.ops(), "Gelu");
}

TEST(RecogniseSwish, WithAndWithoutFactor) {
  const Recognised silu =
      expect_same_numbers(find_swish, with_constants("%s = Sigmoid(%x) %y = Mul(%x, %s) as last"));
  EXPECT_EQ(silu.node("Swish"), "%y = Swish@24(%x) {alpha = 1.0} as last");
  const Recognised quick = expect_same_numbers(
      find_swish, with_constants("%q = Mul(%quick, %x) %s = Sigmoid(%q) %y = Mul(%s, %x)"));
  EXPECT_EQ(quick.ops(), "Abs Swish");
  EXPECT_EQ(quick.node("Swish"), "%y = Swish@24(%x) {alpha = 1.702}");
}

TEST(RecogniseSwish, OthersStay) {
  // A gate of another value; a shifted argument; a second use.
  expect_none(find_swish, with_constants("%s = Sigmoid(%in) %y = Mul(%x, %s)"));
  expect_none(find_swish, with_constants("%q = Add(%x, %c1) %s = Sigmoid(%q) %y = Mul(%x, %s)"));
  expect_none(find_swish, with_constants("%s = Sigmoid(%x) %m = Mul(%x, %s) %y = Add(%m, %s)"));
  // A gate that is broadcast.
  expect_none(find_swish,
              "graph main(%x: f32[2, 3], %g: f32[2, 1]) { %s = Sigmoid(%g) "
              "%y = Mul(%x, %s) return %y }");
}

TEST(RecogniseHardSwish, InAnyOrder) {
  for (const std::string_view body : {
           "%a = Add(%x, %c3) %c = Clip(%a, %c0, %c6) %m = Mul(%x, %c) %y = Div(%m, %c6) as last",
           "%a = Add(%c3, %x) %c = Clip(%a, %c0, %c6) %d = Div(%c, %c6) %y = Mul(%x, %d) as last",
           "%a = Add(%c3, %x) %c = Clip(%a, %c0, %c6) %d = Mul(%c, %sixth) "
           "%y = Mul(%d, %x) as last",
           "%d = Div(%x, %c6) %a = Add(%d, %half) %c = Clip(%a, %c0, %c1) "
           "%y = Mul(%c, %x) as last",
           "%c = HardSigmoid(%x) {alpha = 0.16666667, beta = 0.5} %y = Mul(%c, %x) as last",
           "%a = Add(%x, %c3) %c = Clip@6(%a) {min = 0.0, max = 6.0} %m = Mul(%x, %c) "
           "%y = Div(%m, %c6) as last",
       }) {
    SCOPED_TRACE(body);
    const Recognised found = expect_same_numbers(find_hard_swish, with_constants(body));
    EXPECT_EQ(found.ops(), "Abs HardSwish");
    EXPECT_EQ(found.node("HardSwish"), "%y = HardSwish@14(%x) as last");
  }
}

TEST(RecogniseHardSwish, OthersStay) {
  for (const std::string_view body : {
           // HardSigmoid with the slope it has by default; other bounds; no bound; no product.
           "%c = HardSigmoid(%x) %y = Mul(%c, %x)",
           "%a = Add(%x, %c3) %c = Clip(%a, %c1, %c6) %m = Mul(%x, %c) %y = Div(%m, %c6)",
           "%a = Add(%x, %c3) %c = Clip(%a, %c0) %m = Mul(%x, %c) %y = Div(%m, %c6)",
           "%a = Add(%x, %c3) %c = Clip(%a, %c0, %c6) %y = Div(%c, %c6)",
           "%a = Add(%x, %c1) %c = Clip(%a, %c0, %c6) %m = Mul(%x, %c) %y = Div(%m, %c6)",
       }) {
    expect_none(find_hard_swish, with_constants(body));
  }
}

}  // namespace
}  // namespace quern
