#include <gtest/gtest.h>

#include "ir/print.h"
#include "ir/verify.h"
#include "passes/passes.h"
#include "passes/recognise_match.h"
#include "passes/recognise_testing.h"

namespace quern {
namespace {

constexpr std::string_view kLayerNorm =
    "%mean = ReduceMean@13(%x) {axes = [-1]} %d = Sub@14(%x, %mean) %sq = Mul@14(%d, %d) "
    "%v = ReduceMean@13(%sq) {axes = [-1]} %ve = Add@14(%v, %eps) %s = Sqrt@13(%ve) "
    "%n = Div@14(%d, %s) ";

std::unique_ptr<Graph> recognised_all(std::string_view text, PassReport& report) {
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  EXPECT_TRUE(infer_shapes(**graph));
  EXPECT_TRUE(recognise(**graph, report));
  EXPECT_TRUE(verify(**graph));
  return *std::move(graph);
}

TEST(Recognise, CountsEachFamilyInAllBodies) {
  PassReport report;
  const auto graph = recognised_all(
      cat("graph main(%x: f32[2, 4], %c: bool[]) { %eps = constant f32[] [1e-05] ", kLayerNorm,
          " %g = Sigmoid@13(%n) %y = Mul@14(%n, %g) "
          "%z = If@16(%c) {then_branch = graph () { %h = Sigmoid@13(%y) %m = Mul@14(%y, %h) "
          "return %m }, else_branch = graph () { return %x }} return %z }"),
      report);
  // The LayerNorm is not an RMSNorm of the difference too.
  const std::map<std::string, int, std::less<>> want = {{"layer norm", 1}, {"swish", 2}};
  EXPECT_EQ(report.hits, want) << print(*graph);
}

TEST(Recognise, LeavesFusionsAlone) {
  PassReport report;
  recognised_all(R"(graph main(%x: f32[2, 4]) {
    %y = quern.Fused@1(%x) {body = graph fused (%a: f32[2, 4]) {
      %g = Sigmoid@13(%a)
      %m = Mul@14(%a, %g)
      return %m
    }}
    return %y
  })",
                 report);
  EXPECT_TRUE(report.hits.empty());
}

TEST(Matcher, PolynomialsAreTheSameInEveryOrder) {
  auto graph = parse_graph(R"(graph main(%x: f32[2], %z: f32[2]) {
    %two = constant f32[] [2]
    %three = constant f32[] [3]
    %a = Add@14(%x, %two)
    %b = Mul@14(%a, %a)
    %c = Sub@14(%b, %z)
    %d = Div@14(%c, %two)
    %p = Pow@15(%z, %three)
    %n = Neg@13(%p)
    %y = Add@14(%n, %d)
    %s = Mul@14(%z, %x)
    %t = Div@14(%two, %s)
    %u = Exp@13(%t)
    return %y, %u
  })");
  ASSERT_TRUE(graph);
  const Value* x = (*graph)->inputs[0];
  const Value* z = (*graph)->inputs[1];
  const Value* y = (*graph)->outputs[0];
  const Matcher m(**graph);
  EXPECT_TRUE(m.polynomial(y, true).is(
      {{{x, x}, 0.5}, {{x}, 2}, {{}, 2}, {{z}, -0.5}, {{z, z, z}, -1}}, DType::kF32));
  EXPECT_FALSE(m.polynomial(y, true).is(
      {{{x, x}, 0.5}, {{x}, 2.001}, {{}, 2}, {{z}, -0.5}, {{z, z, z}, -1}}, DType::kF32));
  // An output is not looked into, unless it is the root; a quotient by values never is.
  EXPECT_EQ(m.polynomial(y).variable(), y);
  const Value* t = (*graph)->outputs[1]->producer->inputs[0];
  EXPECT_EQ(m.polynomial(t).variable(), t);
  EXPECT_EQ(m.polynomial(t->producer->inputs[1]).variable(), nullptr);
}

TEST(Matcher, PolynomialsStaySmall) {
  // (x + 1)^9 by way of cubes, and a sum of many values.
  auto graph = parse_graph(R"(graph main(%x: f32[2], %a: f32[2], %b: f32[2], %c: f32[2],
                                         %d: f32[2], %e: f32[2], %f: f32[2], %g: f32[2]) {
    %one = constant f32[] [1]
    %three = constant f32[] [3]
    %s = Add@14(%x, %one)
    %p = Pow@15(%s, %three)
    %q = Pow@15(%p, %three)
    %ab = Add@14(%a, %b)
    %cd = Add@14(%c, %d)
    %ef = Add@14(%e, %f)
    %abcd = Add@14(%ab, %cd)
    %efg = Add@14(%ef, %g)
    %all = Add@14(%abcd, %efg)
    return %q, %all
  })");
  ASSERT_TRUE(graph);
  const Matcher m(**graph);
  for (const Value* output : (*graph)->outputs) {
    EXPECT_TRUE(m.polynomial(output, true).is_small());
  }
}

}  // namespace
}  // namespace quern
