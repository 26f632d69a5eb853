// Which values of a graph become f16 in memory, by name.

#include "passes/narrow.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ir/print.h"
#include "passes/magnitude.h"

namespace quern {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Narrowed {
  std::unique_ptr<Graph> graph;
  Placement placement;
  PassReport report;

  /// Names of values in f16, in order.
  [[nodiscard]] std::string names() const {
    std::string out;
    for (const auto& value : graph->values()) {
      if (!placement.is_narrow(*value)) continue;
      if (!out.empty()) out += ' ';
      out += value->name;
    }
    return out;
  }
};

Narrowed narrowed(std::string_view text, NarrowOptions options = {}, bool optimise = true) {
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  Narrowed out{*std::move(graph), {}, {}};
  const auto done = run_passes(*out.graph, {.optimise = optimise, .verify_each = true}, out.report);
  EXPECT_TRUE(done) << done.error().message;
  out.placement = place(*out.graph);
  EXPECT_TRUE(narrow(*out.graph, out.placement, options, out.report));
  return out;
}

TEST(Narrow, LayersBetweenInputAndOutput) {
  const auto n = narrowed(R"(graph main(%x: f32[batch, 64]) {
    %w1 = weight 0 f32[64, 256]
    %b1 = constant f32[1] [0.5]
    %w2 = weight 1 f32[256, 64]
    %p = MatMul@13(%x, %w1)
    %s = Add@14(%p, %b1)
    %h = Relu@14(%s)
    %y = MatMul@13(%h, %w2)
    return %y
  })",
                          {{0.5f, 3.0f}, {}});
  EXPECT_EQ(n.names(), "w1 w2 h");
  EXPECT_EQ(n.report.hits.at("f16 weights"), 2);
  EXPECT_EQ(n.report.hits.at("f32 by range"), 0);
}

TEST(Narrow, WeightsOutOfRangeOrNotKnownStay) {
  constexpr std::string_view kText = R"(graph main(%x: f32[64, 64]) {
    %large = weight 0 f32[64, 64]
    %tiny = weight 1 f32[64, 64]
    %unknown = weight 2 f32[64, 64]
    %zero = weight 3 f32[64, 64]
    %a = MatMul@13(%x, %large)
    %b = MatMul@13(%x, %tiny)
    %c = MatMul@13(%x, %unknown)
    %d = MatMul@13(%x, %zero)
    %y = Sum@13(%a, %b, %c, %d)
    return %y
  })";
  auto n = narrowed(kText, {{65520.0f, 1e-5f, kNaN, 0.0f}, {}}, false);
  // What large weights give may be large.
  EXPECT_EQ(n.names(), "zero b c d");
  EXPECT_EQ(n.report.hits.at("f32 by range"), 4);
  n = narrowed(kText, {{65504.0f, INFINITY, 1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "large unknown c d");
}

TEST(Narrow, AnotherGraphOfTheSessionDecided) {
  const auto n = narrowed(R"(graph main(%x: f32[64, 64]) {
    %w = weight 0 f32[64, 64]
    %v = weight 1 f32[64, 64]
    %a = MatMul@13(%x, %w)
    %y = MatMul@13(%a, %v)
    return %y
  })",
                          {{1.0f, 1.0f}, std::set<uint32_t>{1}});
  EXPECT_EQ(n.names(), "v a");
}

TEST(Narrow, SmallConstantsOfTheGraphCount) {
  std::string text = R"(graph main(%x: f32[64, 64]) {
    %w = constant f32[64, 64] [)";
  for (int i = 0; i < 64 * 64; ++i) text += i == 0 ? "0.25" : ", 0.25";
  text += R"(]
    %p = MatMul@13(%x, %w)
    %y = Relu@14(%p)
    return %y
  })";
  EXPECT_EQ(narrowed(text).names(), "w");
  text.replace(text.find("0.25"), 4, "7e4");
  EXPECT_EQ(narrowed(text).names(), "");
}

TEST(Narrow, RoundingThatWouldGrow) {
  // Softmax, Exp, squares and comparisons take f32, and so do those that lead to them elementwise.
  const auto n = narrowed(R"(graph main(%x: f32[64, 64]) {
    %w = weight 0 f32[64, 64]
    %half = constant f32[] [0.5]
    %a = MatMul@13(%x, %w)
    %scaled = Mul@14(%a, %half)
    %p = Softmax@13(%scaled)
    %b = MatMul@13(%p, %w)
    %e = Exp@13(%b)
    %c = MatMul@13(%p, %w)
    %square = Mul@14(%c, %c)
    %d = MatMul@13(%p, %w)
    %is = Greater@13(%d, %half)
    %f = MatMul@13(%p, %w)
    %g = Tanh@13(%f)
    %y = MatMul@13(%g, %w)
    return %y, %e, %square, %is
  })",
                          {{1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "w p f g");
}

TEST(Narrow, LargeExponentsAndScales) {
  const auto n = narrowed(R"(graph main(%x: f32[64, 64]) {
    %w = weight 0 f32[64, 64]
    %scale = constant f32[] [1e5]
    %back = constant f32[] [1e-5]
    %a = MatMul@13(%x, %w)
    %large = Mul@14(%a, %scale)
    %b = MatMul@13(%large, %w)
    %c = Mul@14(%b, %back)
    %d = MatMul@13(%c, %w)
    %y = Relu@14(%d)
    return %y
  })",
                          {{1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "w a c d");
  EXPECT_EQ(n.report.hits.at("f32 by range"), 2);  // %large and %b
}

TEST(Narrow, PositionsAndInputsAsGivenStay) {
  const auto n = narrowed(R"(graph main(%x: f32[64, 64], %i: i64[64, 64]) {
    %w = weight 0 f32[64, 64]
    %t = Transpose@13(%x) {perm = [1, 0]}
    %at = Cast@13(%i) {to = 1}
    %half = constant f32[] [0.5]
    %angle = Mul@14(%at, %half)
    %s = Add@14(%angle, %half)
    %p = MatMul@13(%t, %w)
    %q = MatMul@13(%s, %w)
    %y = Add@14(%p, %q)
    return %y
  })",
                          {{1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "w p q");
}

TEST(Narrow, ViewsShareTheMemory) {
  // A view that is given out keeps what it views in f32.
  const auto n = narrowed(R"(graph main(%x: f32[64, 64]) {
    %w = weight 0 f32[64, 64]
    %shape = constant i64[2] [32, 128]
    %a = MatMul@13(%x, %w)
    %y = Reshape@14(%a, %shape)
    %b = MatMul@13(%x, %w)
    %v = Reshape@14(%b, %shape)
    %t = Transpose@13(%v) {perm = [1, 0]}
    %r = ReduceSum@13(%t) {keepdims = 0}
    return %y, %r
  })",
                          {{1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "w b v t");
}

TEST(Narrow, ControlFlowAndTheHostTakeF32) {
  const auto n = narrowed(R"(graph main(%x: f32[64, 64], %flag: bool[]) {
    %w = weight 0 f32[64, 64]
    %a = MatMul@13(%x, %w)
    %b = MatMul@13(%x, %w)
    %y = If@13(%flag) {
      then_branch = graph yes () {
        %c = MatMul@13(%a, %w)
        %d = MatMul@13(%c, %w)
        return %d
      },
      else_branch = graph no () {
        %e = Relu@14(%b)
        return %e
      }
    }
    return %y
  })",
                          {{1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "w a b");
  const Graph* yes = n.graph->nodes().back()->subgraph("then_branch");
  EXPECT_TRUE(n.placement.is_narrow(*yes->nodes()[0]->outputs[0]));
  EXPECT_FALSE(n.placement.is_narrow(*yes->nodes()[1]->outputs[0]));
}

TEST(Narrow, KernelsThatWouldStoreSingleElementsStoreF32) {
  // Rows of 65 are no fours, nor are those of a length that varies.
  const auto n = narrowed(R"(graph main(%x: f32[64, 64], %z: f32[1, 16, h, w]) {
    %w = weight 0 f32[64, 65]
    %v = weight 1 f32[65, 64]
    %k = weight 2 f32[16, 16, 3, 3]
    %a = MatMul@13(%x, %w)
    %b = MatMul@13(%a, %v)
    %y = Relu@14(%b)
    %c = Conv@11(%z, %k)
    %d = Conv@11(%c, %k)
    return %y, %d
  })",
                          {{1.0f, 1.0f, 1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "w v k b");
}

TEST(Magnitude, OfBoundedAndUnboundedOperators) {
  const auto n = narrowed(R"(graph main(%x: f32[64, 64]) {
    %w = weight 0 f32[64, 64]
    %low = constant f32[] [-1e9]
    %high = constant f32[] [6]
    %eps = constant f32[] [1e-3]
    %two = constant f32[] [2]
    %a = MatMul@13(%x, %w)
    %clipped = Clip@13(%a, %low, %high)
    %by_eps = Div@14(%a, %eps)
    %root = Sqrt@13(%by_eps)
    %log = Log@13(%by_eps)
    %r = Reciprocal@13(%a)
    %u = MatMul@13(%clipped, %w)
    %y = Sum@13(%root, %log, %r, %u)
    return %y
  })",
                          {{1.0f}, {}}, false);
  EXPECT_EQ(n.names(), "w clipped root log u");
}

}  // namespace
}  // namespace quern
