// Passes from text to text.

#include "passes/passes.h"

#include <gtest/gtest.h>

#include "ir/print.h"
#include "ir/verify.h"

namespace quern {
namespace {

std::unique_ptr<Graph> parsed(std::string_view text) {
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  auto inferred = infer_shapes(**graph);
  EXPECT_TRUE(inferred) << inferred.error().message;
  return *std::move(graph);
}

void expect_valid(const Graph& graph) {
  const auto valid = verify(graph);
  EXPECT_TRUE(valid) << valid.error().message << "\n" << print(graph);
}

/// The operators in order, a fusion as its inner ones: "Conv Fused(Add Relu)".
std::string ops_of(const Graph& graph) {
  std::string out;
  for (const auto& node : graph.nodes()) {
    if (!out.empty()) out += ' ';
    out += node->op;
    if (node->is("Fused", "quern")) out += cat("(", ops_of(*node->subgraph("body")), ")");
  }
  return out;
}

TEST(FoldConstants, ComputesSmallConstants) {
  auto graph = parsed(R"(graph main(%x: f32[2]) {
    %a = constant f32[2] [1, 2]
    %b = constant f32[2] [3, 5]
    %c = Add@14(%a, %b)
    %y = Mul@14(%x, %c)
    return %y
  })");
  PassReport report;
  ASSERT_TRUE(fold_constants(*graph, report));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "Mul");
  const Value* c = graph->nodes()[0]->inputs[1];
  ASSERT_TRUE(c->constant);
  EXPECT_EQ(c->constant->host.float_at(0), 4);
  EXPECT_EQ(c->constant->host.float_at(1), 7);
}

TEST(FoldConstants, DecidesShapesAndBranches) {
  auto graph = parsed(R"(graph main(%x: f32[2, n]) {
    %shape = Shape@15(%x)
    %zero = constant i64[] [0]
    %rows = Gather@13(%shape, %zero) {axis = 0}
    %two = constant i64[] [2]
    %is_two = Equal@13(%rows, %two)
    %y = If@16(%is_two) {
      then_branch = graph () { %a = Relu@14(%x) return %a },
      else_branch = graph () { %b = Neg@13(%x) return %b }
    }
    return %y
  })");
  PassReport report;
  ASSERT_TRUE(fold_constants(*graph, report));
  ASSERT_TRUE(remove_dead_code(*graph, report));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "Relu");
  EXPECT_EQ(report.hits["branch"], 1);
}

TEST(FoldConstants, KeepsWhatDependsOnDims) {
  auto graph = parsed(R"(graph main(%x: f32[m, n]) {
    %shape = Shape@15(%x)
    %zero = constant i64[] [0]
    %rows = Gather@13(%shape, %zero) {axis = 0}
    return %rows
  })");
  PassReport report;
  ASSERT_TRUE(fold_constants(*graph, report));
  EXPECT_EQ(ops_of(*graph), "Shape Gather");
}

TEST(FoldConstants, AViewOfAWeightIsAWeight) {
  auto graph = parsed(R"(graph main(%x: f32[4, 8]) {
    %w = weight 0 f32[32]
    %shape = constant i64[2] [4, 8]
    %v = Reshape@14(%w, %shape)
    %y = Add@14(%x, %v)
    return %y
  })");
  PassReport report;
  ASSERT_TRUE(fold_constants(*graph, report));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "Add");
  EXPECT_EQ(graph->nodes()[0]->inputs[1]->constant->dims, (Dims{4, 8}));
}

TEST(CommonSubexpressions, MergesEqualNodesOnly) {
  auto graph = parsed(R"(graph main(%x: f32[n]) {
    %a = LeakyRelu@16(%x) {alpha = 0.5}
    %b = LeakyRelu@16(%x) {alpha = 0.5}
    %c = LeakyRelu@16(%x) {alpha = 0.25}
    %d = Add@14(%a, %b)
    %e = Add@14(%d, %c)
    return %e
  })");
  PassReport report;
  ASSERT_TRUE(merge_common_subexpressions(*graph, report));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "LeakyRelu LeakyRelu Add Add");
  EXPECT_EQ(report.hits["merged"], 1);
}

TEST(CommonSubexpressions, SmallConstantsAreEqualByContents) {
  auto graph = parsed(R"(graph main(%x: f32[4]) {
    %p = constant f32[1] [2]
    %q = constant f32[1] [2]
    %r = constant f32[1] [3]
    %s = constant f32[1, 1] [2]
    %a = Mul@14(%x, %p)
    %b = Mul@14(%x, %q)
    %c = Mul@14(%x, %r)
    %d = Mul@14(%x, %s)
    %e = Sum@13(%a, %b, %c)
    return %e, %d
  })");
  PassReport report;
  ASSERT_TRUE(merge_common_subexpressions(*graph, report));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "Mul Mul Mul Sum");
  EXPECT_EQ(report.hits["merged"], 1);
  const Node& sum = *graph->nodes()[3];
  EXPECT_EQ(sum.inputs[0], sum.inputs[1]);
  EXPECT_NE(sum.inputs[0], sum.inputs[2]);
}

TEST(BatchNorm, GoesIntoTheConvolution) {
  auto graph = parsed(R"(graph main(%x: f32[n, 1, 4, 4]) {
    %w = constant f32[1, 1, 1, 1] [2]
    %gamma = constant f32[1] [3]
    %beta = constant f32[1] [1]
    %mean = constant f32[1] [0.5]
    %variance = constant f32[1] [1]
    %c = Conv@11(%x, %w)
    %y = BatchNormalization@15(%c, %gamma, %beta, %mean, %variance) {epsilon = 0.0}
    return %y
  })");
  PassReport report;
  ASSERT_TRUE(fold_batch_norm(*graph, report));
  ASSERT_TRUE(infer_shapes(*graph));
  ASSERT_TRUE(fold_constants(*graph, report));
  expect_valid(*graph);
  ASSERT_EQ(ops_of(*graph), "Conv");
  const Node& conv = *graph->nodes()[0];
  EXPECT_FLOAT_EQ(conv.inputs[1]->constant->host.float_at(0), 6);     // 2 * 3
  EXPECT_FLOAT_EQ(conv.inputs[2]->constant->host.float_at(0), -0.5);  // (0 - 0.5) * 3 + 1
}

TEST(Fuse, ChainsBecomeOneKernel) {
  auto graph = parsed(R"(graph main(%x: f32[n, 8], %z: f32[n, 8]) {
    %s = Sigmoid@13(%x)
    %m = Mul@14(%x, %s)
    %y = Add@14(%m, %z)
    return %y
  })");
  PassReport report;
  ASSERT_TRUE(fuse(*graph, 8, report));
  ASSERT_TRUE(infer_shapes(*graph));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "Fused(Sigmoid Mul Add)");
  EXPECT_EQ(graph->nodes()[0]->inputs.size(), 2U);
}

TEST(Fuse, AnAnchorTakesItsEpilogue) {
  auto graph = parsed(R"(graph main(%x: f32[n, 8], %z: f32[n, 4]) {
    %w = weight 0 f32[8, 4]
    %b = constant f32[4] [1, 2, 3, 4]
    %m = MatMul@13(%x, %w)
    %a = Add@14(%m, %b)
    %r = Relu@14(%a)
    %y = Add@14(%r, %z)
    return %y
  })");
  PassReport report;
  ASSERT_TRUE(fuse(*graph, 8, report));
  ASSERT_TRUE(infer_shapes(*graph));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "Fused(MatMul Add Relu Add)");
}

TEST(Fuse, NothingIsComputedTwice) {
  // The exponential has two consumers in different kernels.
  auto graph = parsed(R"(graph main(%x: f32[n, 8]) {
    %e = Exp@13(%x)
    %a = Neg@13(%e)
    %s = Softmax@13(%e)
    return %a, %s
  })");
  PassReport report;
  ASSERT_TRUE(fuse(*graph, 8, report));
  EXPECT_EQ(ops_of(*graph), "Exp Neg Softmax");
}

TEST(Fuse, KeepsToTheBindingBudget) {
  auto graph = parsed(R"(graph main(%a: f32[n], %b: f32[n], %c: f32[n], %d: f32[n]) {
    %p = Add@14(%a, %b)
    %q = Add@14(%p, %c)
    %y = Add@14(%q, %d)
    return %y
  })");
  PassReport report;
  ASSERT_TRUE(fuse(*graph, 4, report));
  ASSERT_TRUE(infer_shapes(*graph));
  expect_valid(*graph);
  EXPECT_EQ(ops_of(*graph), "Add Fused(Add Add)");
}

TEST(Infer, ErrorsNameTheNode) {
  auto graph = parse_graph(R"(graph main(%x: f32[2, 3], %y: f32[4, 5]) {
    %z = MatMul@13(%x, %y) as product
    return %z
  })");
  ASSERT_TRUE(graph);
  const auto inferred = infer_shapes(**graph);
  ASSERT_FALSE(inferred);
  EXPECT_NE(inferred.error().message.find("node 'product' (MatMul)"), std::string::npos)
      << inferred.error().message;
}

}  // namespace
}  // namespace quern
