#include "ops/common/sort.h"

#include <algorithm>
#include <cmath>

#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

TEST(SortKey, OrdersAsTheNumbersDo) {
  const std::vector<double> rising = {-INFINITY, -3, -1e-3, 0, 1e-3, 2, INFINITY, NAN};
  for (const DType type : {DType::kF32, DType::kF16, DType::kF64, DType::kBF16}) {
    const HostTensor x = tensor(type, {8}, rising);
    for (int64_t i = 0; i + 1 < 8; ++i) {
      EXPECT_LT(sort_key(x, i, false), sort_key(x, i + 1, false)) << name_of(type) << " " << i;
      EXPECT_GT(sort_key(x, i, true), sort_key(x, i + 1, true)) << name_of(type) << " " << i;
    }
  }
  const HostTensor zeros = tensor(DType::kF32, {2}, {-0.0, 0.0});
  EXPECT_EQ(sort_key(zeros, 0, false), sort_key(zeros, 1, false));
  const HostTensor ints = HostTensor::of_ints(DType::kI64, {3}, {INT64_MIN, -1, INT64_MAX});
  EXPECT_LT(sort_key(ints, 0, false), sort_key(ints, 1, false));
  EXPECT_LT(sort_key(ints, 1, false), sort_key(ints, 2, false));
}

TEST(SortKey, IsTheSameInExpressions) {
  const HostTensor x = tensor(DType::kF32, {5}, {-INFINITY, -1.5, 0, 2.5, NAN});
  ExprProgram program;
  program.domain = {{5, -1}};
  program.inputs = {{DType::kF32, {{5, -1}}, false}};
  ExprBuilder b(program);
  const Expr at[] = {b.index(0)};
  program.outputs = {{sort_key(b, b.load(0, at), DType::kF32, false), DType::kU32}};
  const HostTensor* const inputs[] = {&x};
  const auto keys = evaluate(program, inputs);
  ASSERT_TRUE(keys) << keys.error().message;
  for (int64_t i = 0; i + 1 < 5; ++i) EXPECT_LT((*keys)[0].int_at(i), (*keys)[0].int_at(i + 1));
}

OpCall top_k(int version, std::map<std::string, AttributeValue, std::less<>> attributes) {
  return {.op = "TopK", .version = version, .attributes = std::move(attributes), .outputs = 2};
}

TEST(TopK, TakesTheFirstOfEqualOnes) {
  const HostTensor x = f32({2, 4}, {1, 3, 3, 2, 4, 4, 4, 4});
  EXPECT_EQ(expanded_text(top_k(11, {}), {x, i64({2})}),
            "f32[2, 2] {3, 3, 4, 4}; i64[2, 2] {1, 2, 0, 1}");
  EXPECT_EQ(
      expanded_text(top_k(24, {{"largest", int64_t{0}}, {"axis", int64_t{0}}}), {x, i64({1})}),
      "f32[1, 4] {1, 3, 3, 2}; i64[1, 4] {0, 0, 0, 0}");
  EXPECT_EQ(expanded_text(top_k(1, {{"k", int64_t{1}}}), {x}),
            "f32[2, 1] {3, 4}; i64[2, 1] {1, 0}");
}

TEST(TopK, ChecksK) {
  EXPECT_FALSE(run(top_k(11, {}), {f32({1, 2}), i64({3})}).has_value());
  EXPECT_FALSE(run(top_k(11, {}), {f32({1, 2}), i64({-1})}).has_value());
  EXPECT_FALSE(run(top_k(11, {{"axis", int64_t{1}}}), {f32({1, 2}), i64({1})}).has_value());
  EXPECT_EQ(infer(top_k(11, {}), {InferInput::of("f32[n, 8]"), InferInput::of("i64[1] = {k}")}),
            "f32[n, k]; i64[n, k]");
}

OpCall unique(std::map<std::string, AttributeValue, std::less<>> attributes) {
  return {.op = "Unique", .attributes = std::move(attributes), .outputs = 4};
}

TEST(Unique, SortedAndNot) {
  const HostTensor x = f32({2, 1, 1, 3, 4, 3});
  EXPECT_EQ(expanded_text(unique({}), {x}),
            "f32[4] {1, 2, 3, 4}; i64[4] {1, 0, 3, 4}; i64[6] {1, 0, 0, 2, 3, 2}; "
            "i64[4] {2, 1, 2, 1}");
  EXPECT_EQ(expanded_text(unique({{"sorted", int64_t{0}}}), {x}),
            "f32[4] {2, 1, 3, 4}; i64[4] {0, 1, 3, 4}; i64[6] {0, 1, 1, 2, 3, 2}; "
            "i64[4] {1, 2, 2, 1}");
}

TEST(Unique, AlongAnAxis) {
  const HostTensor x = f32({3, 3}, {1, 0, 0, 1, 0, 0, 2, 3, 4});
  EXPECT_EQ(expanded_text(unique({{"axis", int64_t{0}}}), {x}),
            "f32[2, 3] {1, 0, 0, 2, 3, 4}; i64[2] {0, 2}; i64[3] {0, 0, 1}; i64[2] {2, 1}");
  EXPECT_EQ(expanded_text(unique({{"axis", int64_t{-1}}}), {x}),
            "f32[3, 3] {0, 0, 1, 0, 0, 1, 3, 4, 2}; i64[3] {1, 2, 0}; i64[3] {2, 0, 1}; "
            "i64[3] {1, 1, 1}");
  EXPECT_EQ(expanded_text(unique({{"axis", int64_t{0}}}), {f32({0, 2}, {})}),
            "f32[0, 2] {}; i64[0] {}; i64[0] {}; i64[0] {}");
}

TEST(Unique, OfStrings) {
  const OpCall rows{.op = "UniqueRows", .version = 1, .outputs = 4, .domain = "quern"};
  EXPECT_EQ(expanded_text(rows, {strings({3, 1}, {"b", "a", "b"})}),
            "i32[3] {1, 0, 0}; i32[3] {1, 2, 0}; i32[3] {1, 0, 1}; i64[1] {2}");
}

}  // namespace
}  // namespace quern::optest
