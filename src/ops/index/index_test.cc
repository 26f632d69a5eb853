#include "ops/op_testing.h"

namespace quern::optest {
namespace {

TEST(Gather, WrapsNegativeIndices) {
  const HostTensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  EXPECT_EQ(
      text(run_one({.op = "Gather", .attributes = {{"axis", int64_t{-1}}}}, {x, i64({}, {-1})})),
      "f32[2] {3, 6}");
  EXPECT_EQ(text(run_one({.op = "Gather"}, {x, i64({1, 2}, {1, 0})})),
            "f32[1, 2, 3] {4, 5, 6, 1, 2, 3}");
  EXPECT_EQ(text(run_one({.op = "Gather"}, {x, i64({0}, {})})), "f32[0, 3] {}");
  EXPECT_EQ(text(run_one({.op = "Gather"}, {strings({2}, {"a", "b"}), i64({1, 1, -2})})),
            "string[3] {b, b, a}");
  EXPECT_EQ(infer({.op = "Gather"},
                  {InferInput::of("i64[3] = {b, s, 7}"), InferInput::of(i64({}, {-2}))}),
            "i64[] = {s}");
  EXPECT_EQ(infer({.op = "Gather"}, {InferInput::of("f32[v, 64]"), InferInput::of("i64[b, s]")}),
            "f32[b, s, 64]");
}

TEST(Gather, Elements) {
  const HostTensor x = f32({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(text(run_one({.op = "GatherElements", .attributes = {{"axis", int64_t{1}}}},
                         {x, i64({2, 1}, {-1, 0})})),
            "f32[2, 1] {2, 3}");
  EXPECT_FALSE(run({.op = "GatherElements"}, {x, i64({0})}).has_value());
}

TEST(Gather, Nd) {
  const HostTensor x = f32({2, 2, 2}, {1, 2, 3, 4, 5, 6, 7, 8});
  EXPECT_EQ(text(run_one({.op = "GatherND"}, {x, i64({1, 2}, {1, -1})})), "f32[1, 2] {7, 8}");
  EXPECT_EQ(text(run_one({.op = "GatherND", .attributes = {{"batch_dims", int64_t{1}}}},
                         {x, i64({2, 1}, {1, 0})})),
            "f32[2, 2] {3, 4, 5, 6}");
  EXPECT_FALSE(run({.op = "GatherND"}, {x, i64({1, 4}, {0, 0, 0, 0})}).has_value());
}

TEST(ArgReduce, TiesAndAxes) {
  const HostTensor x = f32({2, 3}, {1, 3, 3, 5, 2, 5});
  EXPECT_EQ(text(run_one({.op = "ArgMax", .attributes = {{"axis", int64_t{-1}}}}, {x})),
            "i64[2, 1] {1, 0}");
  EXPECT_EQ(text(run_one({.op = "ArgMax",
                          .attributes = {{"axis", int64_t{1}},
                                         {"keepdims", int64_t{0}},
                                         {"select_last_index", int64_t{1}}}},
                         {x})),
            "i64[2] {2, 2}");
  EXPECT_EQ(text(run_one({.op = "ArgMin"}, {x})), "i64[1, 3] {0, 1, 0}");
}

}  // namespace
}  // namespace quern::optest
