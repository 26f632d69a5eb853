// Chains of operators through which shapes have to stay symbolic.
#include "ops/op_testing.h"

namespace quern::optest {
namespace {

TEST(ShapeArithmetic, ViewOfATransformer) {
  // x.view(b, s, 12, -1), as PyTorch's older exporter writes it.
  EXPECT_EQ(infer_graph(R"(graph main(%x: f32[b, s, 768]) {
    %zero = constant i64[] [0]
    %one = constant i64[] [1]
    %axis = constant i64[1] [0]
    %heads = constant i64[1] [12]
    %rest = constant i64[1] [-1]
    %shape = Shape@13(%x)
    %b = Gather@13(%shape, %zero) {axis = 0}
    %s = Gather@13(%shape, %one) {axis = 0}
    %b1 = Unsqueeze@13(%b, %axis)
    %s1 = Unsqueeze@13(%s, %axis)
    %to = Concat@13(%b1, %s1, %heads, %rest) {axis = 0}
    %y = Reshape@13(%x, %to)
    return %to, %y
  })"),
            "i64[4] = {b, s, 12, -1}; f32[b, s, 12, 64]");
}

TEST(ShapeArithmetic, LegacyExpand) {
  // x.expand(b, -1, s): the exporter replaces -1 by 1 with Equal and Where.
  EXPECT_EQ(infer_graph(R"(graph main(%x: f32[1, 4, 1], %y: f32[b, s]) {
    %minus = constant i64[1] [-1]
    %dims = Shape@13(%y)
    %zero = constant i64[1] [0]
    %one = constant i64[1] [1]
    %b = Gather@13(%dims, %zero)
    %s = Gather@13(%dims, %one)
    %joined = Concat@13(%b, %minus, %s) {axis = 0}
    %to = Reshape@13(%joined, %minus)
    %rank = Shape@13(%to)
    %ones = ConstantOfShape@13(%rank) {value = constant i64[1] [1]}
    %factor = constant i64[] [-1]
    %negative = Mul@13(%ones, %factor)
    %is = Equal@13(%to, %negative)
    %final = Where@13(%is, %ones, %to)
    %out = Expand@13(%x, %final)
    return %is, %final, %out
  })"),
            "bool[3] = {0, 1, 0}; i64[3] = {b, 1, s}; f32[b, 4, s]");
}

TEST(ShapeArithmetic, LegacyPad) {
  // The pads of torch.nn.functional.pad: pairs from the last axis on, reversed and transposed.
  EXPECT_EQ(infer_graph(R"(graph main(%x: f32[n, c, h]) {
    %given = constant i64[2] [1, 2]
    %length = constant i64[1] [4]
    %zeros = ConstantOfShape@13(%length) {value = constant i64[1] [0]}
    %all = Concat@13(%given, %zeros) {axis = 0}
    %pairs = constant i64[2] [-1, 2]
    %table = Reshape@13(%all, %pairs)
    %zero = constant i64[1] [0]
    %last = constant i64[1] [-1]
    %least = constant i64[1] [-9223372036854775807]
    %reversed = Slice@13(%table, %last, %least, %zero, %last)
    %columns = Transpose@13(%reversed) {perm = [1, 0]}
    %flat = Reshape@13(%columns, %last)
    %pads = Cast@13(%flat) {to = 7}
    %y = Pad@13(%x, %pads)
    return %pads, %y
  })"),
            "i64[6] = {0, 0, 1, 0, 0, 2}; f32[n, c, h + 3]");
}

TEST(ShapeArithmetic, WindowsOfAnImage) {
  // h / 7 * 7 in int32, and the halves of a shape by Split.
  EXPECT_EQ(infer_graph(R"(graph main(%x: f32[b, h, w, 96]) {
    %shape = Shape@13(%x)
    %low, %high = Split@13(%shape) {axis = 0}
    %narrow = Cast@13(%low) {to = 6}
    %seven = constant i32[1] [7]
    %count = Div@13(%narrow, %seven)
    %back = Mul@13(%count, %seven)
    %product = ReduceProd@13(%high) {keepdims = 0}
    %start = constant i64[] [0]
    %step = constant i64[] [1]
    %range = Range@13(%start, %product, %step)
    return %count, %back, %range
  })"),
            "i32[2] = {floor_div(b, 7), floor_div(h, 7)}; "
            "i32[2] = {7 * floor_div(b, 7), 7 * floor_div(h, 7)}; i64[96 * w]");
}

TEST(ShapeArithmetic, LooksAtTheRightInputs) {
  // The second input of CastLike gives its type alone.
  EXPECT_EQ(infer({.op = "CastLike"}, {InferInput::of("i64[1] = {n + 1}"),
                                       InferInput::of("bool[2, 3] = {1, 0, 1, 0, 1, 0}")}),
            "bool[1] = {1}");
  EXPECT_EQ(
      infer({.op = "Cast", .attributes = {{"to", int64_t{7}}}}, {InferInput::of(f32({2.9f, -1}))}),
      "i64[2] = {2, -1}");
  EXPECT_EQ(infer({.op = "Add"}, {InferInput::of(i64({0, 1 << 20, 1 << 20, 1 << 20}, {})),
                                  InferInput::of(i64({1}))}),
            "i64[0, 1048576, 1048576, 1048576] = {}");
}

TEST(ShapeArithmetic, DropsWhatDoesNotFit) {
  EXPECT_EQ(
      infer({.op = "Cast", .attributes = {{"to", int64_t{2}}}}, {InferInput::of("i64[1] = {n}")}),
      "u8[1]");
  EXPECT_EQ(infer({.op = "Cast", .attributes = {{"to", int64_t{9}}}},
                  {InferInput::of("i64[1] = {n + 1}")}),
            "bool[1] = {1}");
  EXPECT_EQ(infer({.op = "Add"}, {InferInput::of("u8[1] = {250}"), InferInput::of("u8[1] = {9}")}),
            "u8[1]");
}

}  // namespace
}  // namespace quern::optest
