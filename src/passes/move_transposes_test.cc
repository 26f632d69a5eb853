// Transposes that pass operators and cancel.
#include <gtest/gtest.h>

#include "ir/print.h"
#include "ir/verify.h"
#include "passes/passes.h"

namespace quern {
namespace {

/// The operators that are left, in order, and what is inside an odd one out.
std::string moved(std::string_view text) {
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  if (!graph) return {};
  PassReport report;
  EXPECT_TRUE(infer_shapes(**graph));
  const Shape before = *(*graph)->outputs[0]->type.shape;
  const auto done = move_transposes(**graph, report);
  EXPECT_TRUE(done) << done.error().message;
  EXPECT_TRUE(fold_constants(**graph, report));
  EXPECT_TRUE(remove_dead_code(**graph, report));
  const auto valid = verify(**graph);
  EXPECT_TRUE(valid) << valid.error().message << "\n" << print(**graph);
  const auto again = infer_shapes(**graph);
  EXPECT_TRUE(again) << again.error().message << "\n" << print(**graph);
  EXPECT_EQ(cat(*(*graph)->outputs[0]->type.shape), cat(before)) << print(**graph);
  std::string out;
  for (const auto& node : (*graph)->nodes()) out += (out.empty() ? "" : " ") + node->op;
  return out;
}

TEST(MoveTransposes, PairsCancel) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[1, 2, 3, 4]) {
    %a = Transpose@13(%x) {perm = [0, 2, 3, 1]}
    %b = Transpose@13(%a) {perm = [0, 3, 1, 2]}
    %y = Relu@14(%b)
    return %y
  })"),
            "Relu");
}

TEST(MoveTransposes, TwoBecomeOne) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[2, 3, 4]) {
    %a = Transpose@13(%x) {perm = [1, 2, 0]}
    %y = Transpose@13(%a) {perm = [1, 2, 0]}
    return %y
  })"),
            "Transpose");
}

TEST(MoveTransposes, AnOutputKeepsItsName) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[2, 3]) {
    %a = Transpose@13(%x)
    %y = Transpose@13(%a)
    return %y
  })"),
            "Identity");
}

TEST(MoveTransposes, PassArithmeticWithConstants) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[1, 2, 3, 4]) {
    %bias = constant f32[2] [1, 2]
    %grid = constant f32[3, 4, 2] [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24]
    %a = Transpose@13(%x) {perm = [0, 2, 3, 1]}
    %b = Add@14(%a, %bias)
    %c = Mul@14(%grid, %b)
    %d = Relu@14(%c)
    %y = Transpose@13(%d) {perm = [0, 3, 1, 2]}
    %z = Neg@13(%y)
    return %z
  })"),
            "Add Mul Relu Neg");
}

TEST(MoveTransposes, PassAxes) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[n, 2, 3, 4], %z: f32[n, 5, 3, 4]) {
    %a = Transpose@13(%x) {perm = [0, 2, 3, 1]}
    %b = Transpose@13(%z) {perm = [0, 2, 3, 1]}
    %c = Concat@13(%a, %b) {axis = -1}
    %pads = constant i64[8] [0, 1, 2, 0, 0, 3, 4, 0]
    %d = Pad@13(%c, %pads)
    %starts = constant i64[1] [1]
    %ends = constant i64[1] [6]
    %axes = constant i64[1] [3]
    %e = Slice@13(%d, %starts, %ends, %axes)
    %f = Softmax@13(%e) {axis = -1}
    %middle = constant i64[2] [1, 2]
    %g = ReduceMean@18(%f, %middle) {keepdims = 1}
    %y = Transpose@13(%g) {perm = [0, 3, 1, 2]}
    %r = Relu@14(%y)
    return %r
  })"),
            "Concat Pad Slice Softmax ReduceMean Relu");
}

TEST(MoveTransposes, PassReductionsThatDropAxes) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[7, 2, 3, 4]) {
    %a = Transpose@13(%x) {perm = [2, 0, 3, 1]}
    %axes = constant i64[1] [2]
    %b = ReduceSum@13(%a, %axes) {keepdims = 0}
    %c = ArgMax@13(%b) {axis = 0, keepdims = 0}
    %y = Transpose@13(%c)
    return %y
  })"),
            "ReduceSum ArgMax Transpose");
}

TEST(MoveTransposes, StayWhereNothingIsMet) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[1, 2, 3, 4], %z: f32[1, 3, 4, 2]) {
    %a = Transpose@13(%x) {perm = [0, 2, 3, 1]}
    %b = Relu@14(%a)
    %y = Add@14(%b, %z)
    return %y
  })"),
            "Transpose Relu Add");
}

TEST(MoveTransposes, TwoOperandsAreOneTranspose) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[n, 2, 3, 4], %z: f32[n, 2, 1, 1]) {
    %a = Transpose@13(%x) {perm = [0, 2, 3, 1]}
    %b = Transpose@13(%z) {perm = [0, 2, 3, 1]}
    %y = Mul@14(%a, %b)
    return %y
  })"),
            "Mul Transpose");
}

TEST(MoveTransposes, AxesOfOneElementMoveForNothing) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[n, 5, 1, 1]) {
    %a = Transpose@13(%x) {perm = [0, 2, 3, 1]}
    %y = Relu@14(%a)
    return %y
  })"),
            "Reshape Relu");
}

TEST(MoveTransposes, QuantisationKeepsItsAxis) {
  EXPECT_EQ(moved(R"(graph main(%x: i8[1, 2, 3, 4]) {
    %scale = constant f32[2] [0.5, 0.25]
    %a = Transpose@13(%x) {perm = [0, 2, 3, 1]}
    %b = DequantizeLinear@13(%a, %scale) {axis = 3}
    %y = Transpose@13(%b) {perm = [0, 3, 1, 2]}
    %z = Relu@14(%y)
    return %z
  })"),
            "DequantizeLinear Relu");
}

TEST(MoveTransposes, OfSequencesAndUnknownRanksStay) {
  EXPECT_EQ(moved(R"(graph main(%x: f32[2, 3], %n: i64[1]) {
    %a = Transpose@13(%x)
    %b = Reshape@13(%a, %n)
    %y = Relu@14(%b)
    return %y
  })"),
            "Transpose Reshape Relu");
}

}  // namespace
}  // namespace quern
