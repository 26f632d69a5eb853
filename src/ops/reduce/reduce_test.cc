#include <cmath>
#include <limits>

#include "ops/op_testing.h"

namespace quern::optest {
namespace {

const HostTensor kCube = f32({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});

TEST(Reduce, AxesByVersion) {
  EXPECT_EQ(text(run_one({.op = "ReduceSum"}, {kCube, i64({0, -1})})), "f32[1, 2, 1] {14, 22}");
  EXPECT_EQ(text(run_one({.op = "ReduceSum", .attributes = {{"keepdims", int64_t{0}}}},
                         {kCube, i64({1})})),
            "f32[2, 2] {4, 6, 12, 14}");
  EXPECT_EQ(
      text(run_one(
          {.op = "ReduceMean", .version = 13, .attributes = {{"axes", std::vector<int64_t>{2}}}},
          {kCube})),
      "f32[2, 2, 1] {1.5, 3.5, 5.5, 7.5}");
  EXPECT_EQ(text(run_one({.op = "ReduceMax"}, {kCube})), "f32[1, 1, 1] {8}");
  EXPECT_EQ(text(run_one({.op = "ReduceMin", .attributes = {{"keepdims", int64_t{0}}}},
                         {kCube, i64({0}, {})})),
            "f32[] {1}");
  EXPECT_EQ(
      text(run_one({.op = "ReduceSumSquare", .attributes = {{"noop_with_empty_axes", int64_t{1}}}},
                   {f32({2, 3})})),
      "f32[2] {4, 9}");
  EXPECT_FALSE(run({.op = "ReduceSum"}, {kCube, i64({0, -3})}).has_value());
  EXPECT_FALSE(run({.op = "ReduceSum"}, {kCube, i64({3})}).has_value());
}

TEST(Reduce, RankZero) {
  EXPECT_EQ(text(run_one({.op = "ReduceL1"}, {f32({}, {-3})})), "f32[] {3}");
  EXPECT_EQ(text(run_one({.op = "ReduceLogSumExp"}, {f32({}, {2})})), "f32[] {2}");
}

TEST(Reduce, OfNothing) {
  const HostTensor none = f32({0, 2}, {});
  const auto of = [&](const char* op) { return text(run_one({.op = op}, {none, i64({0})})); };
  EXPECT_EQ(of("ReduceSum"), "f32[1, 2] {0, 0}");
  EXPECT_EQ(of("ReduceProd"), "f32[1, 2] {1, 1}");
  EXPECT_EQ(of("ReduceMax"), "f32[1, 2] {-inf, -inf}");
  EXPECT_EQ(of("ReduceMin"), "f32[1, 2] {inf, inf}");
  EXPECT_EQ(of("ReduceLogSum"), "f32[1, 2] {-inf, -inf}");
  EXPECT_EQ(of("ReduceLogSumExp"), "f32[1, 2] {-inf, -inf}");
  EXPECT_TRUE(std::isnan(run_one({.op = "ReduceMean"}, {none, i64({0})}).float_at(0)));
  EXPECT_EQ(text(run_one({.op = "ReduceMax"}, {i64({0}, {})})), cat("i64[1] {", INT64_MIN, "}"));
  EXPECT_EQ(text(run_one({.op = "ReduceSum"}, {none, i64({1})})), "f32[0, 1] {}");
}

TEST(Reduce, OtherTypes) {
  EXPECT_EQ(text(run_one({.op = "ReduceMean"}, {i64({1, 2, 4})})), "i64[1] {2}");
  EXPECT_EQ(text(run_one({.op = "ReduceL2"}, {i64({3, 4})})), "i64[1] {5}");
  EXPECT_EQ(text(run_one({.op = "ReduceMax"}, {tensor(DType::kBool, {2}, {0, 1})})), "bool[1] {1}");
  EXPECT_EQ(text(run_one({.op = "ReduceMin"}, {tensor(DType::kBool, {0}, {})})), "bool[1] {1}");
  EXPECT_EQ(text(run_one({.op = "ReduceMin"}, {tensor(DType::kU8, {2}, {200, 9})})), "u8[1] {9}");
}

TEST(Reduce, LogSumExpDoesNotOverflow) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(text(run_one({.op = "ReduceLogSumExp"}, {f32({1000, -inf})})), "f32[1] {1000}");
  EXPECT_EQ(text(run_one({.op = "ReduceLogSumExp"}, {f32({-inf, -inf})})), "f32[1] {-inf}");
  EXPECT_EQ(text(run_one({.op = "ReduceLogSumExp"}, {f32({inf, 1})})), "f32[1] {inf}");
}

TEST(Reduce, OfSymbols) {
  EXPECT_EQ(infer({.op = "ReduceSum"}, {InferInput::of("f32[n, 3, h]"), InferInput::of(i64({-1}))}),
            "f32[n, 3, 1]");
  EXPECT_EQ(infer({.op = "ReduceProd", .attributes = {{"keepdims", int64_t{0}}}},
                  {InferInput::of("i64[3] = {n, 3, h}")}),
            "i64[] = {3 * h * n}");
  EXPECT_EQ(infer({.op = "ReduceMax"}, {InferInput::of("i64[2] = {2, 5}")}), "i64[1] = {5}");
  EXPECT_EQ(infer({.op = "ReduceSum"}, {InferInput::of("f32[n, 3]"), InferInput::of("i64[1]")})
                .find("f32[_"),
            0u);
}

TEST(GlobalPool, OverAllSpatialAxes) {
  const HostTensor x = f32({1, 2, 1, 2}, {1, 3, 5, 9});
  EXPECT_EQ(text(run_one({.op = "GlobalAveragePool"}, {x})), "f32[1, 2, 1, 1] {2, 7}");
  EXPECT_EQ(text(run_one({.op = "GlobalMaxPool"}, {x})), "f32[1, 2, 1, 1] {3, 9}");
  EXPECT_EQ(text(run_one({.op = "GlobalAveragePool"}, {f32({1, 2}, {4, 5})})), "f32[1, 2] {4, 5}");
}

}  // namespace
}  // namespace quern::optest
