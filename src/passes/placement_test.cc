// Which weights are free once the load program has run.

#include "passes/placement.h"

#include <gtest/gtest.h>

#include "ir/print.h"
#include "passes/passes.h"

namespace quern {
namespace {

std::set<uint32_t> load_only(std::string_view text) {
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  const auto inferred = infer_shapes(**graph);
  EXPECT_TRUE(inferred) << inferred.error().message;
  return load_only_weights(**graph, place(**graph));
}

TEST(LoadOnlyWeights, AreReadByOneNodeOfTheLoadProgram) {
  EXPECT_EQ(load_only(R"(graph main(%x: f32[n, 64]) {
    %a = weight 0 f32[64, 8]
    %b = weight 1 f32[64, 8]
    %c = weight 2 f32[16, 16]
    %ab = Concat@13(%a, %b) {axis = 1}
    %p = MatMul@13(%x, %ab)
    %y = MatMul@13(%p, %c)
    return %y
  })"),
            (std::set<uint32_t>{0, 1}));
}

TEST(LoadOnlyWeights, AreNotReadByTwo) {
  // Of which one may come after the first has been done, in a later segment. The weight table may
  // have two names for one entry.
  EXPECT_EQ(load_only(R"(graph main(%x: f32[n, 64]) {
    %a = weight 0 f32[64, 8]
    %b = weight 1 f32[64, 8]
    %same = weight 1 f32[64, 8]
    %left = Neg@13(%a)
    %right = Abs@13(%a)
    %up = Neg@13(%b)
    %down = Abs@13(%same)
    %p = MatMul@13(%x, %left)
    %q = MatMul@13(%x, %right)
    %r = MatMul@13(%x, %up)
    %s = MatMul@13(%x, %down)
    return %p, %q, %r, %s
  })"),
            std::set<uint32_t>{});
}

TEST(LoadOnlyWeights, AreNotWhatIsDoneAgain) {
  // What the first node makes lasts as long as the load program, so it runs again in each plan.
  EXPECT_EQ(load_only(R"(graph main(%x: f32[n, 64]) {
    %a = weight 0 f32[64, 8]
    %b = Neg@13(%a)
    %c = Relu@14(%b)
    %y = MatMul@13(%x, %c)
    return %y
  })"),
            std::set<uint32_t>{});
}

TEST(LoadOnlyWeights, AreNeitherViewedNorGiven) {
  EXPECT_EQ(load_only(R"(graph main(%x: f32[n, 64]) {
    %a = weight 0 f32[8, 64]
    %b = weight 1 f32[64, 8]
    %dims = constant i64[2] [64, 8]
    %view = Reshape@14(%a, %dims)
    %y = MatMul@13(%x, %view)
    %c = Neg@13(%b)
    %z = MatMul@13(%x, %c)
    return %y, %z, %b
  })"),
            std::set<uint32_t>{});
}

}  // namespace
}  // namespace quern
