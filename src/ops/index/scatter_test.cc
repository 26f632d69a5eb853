#include "ops/expand_testing.h"

namespace quern::optest {
namespace {

OpCall call(std::string op, int version,
            std::map<std::string, AttributeValue, std::less<>> attributes = {}) {
  return {.op = std::move(op), .version = version, .attributes = std::move(attributes)};
}

TEST(Scatter, Elements) {
  const HostTensor x = f32({1, 5}, {1, 2, 3, 4, 5});
  const HostTensor at = i64({1, 3}, {1, -2, 1});
  const HostTensor updates = f32({1, 3}, {10, 20, 30});
  const auto with = [&](const char* reduction) {
    return text(run_one(
        call("ScatterElements", 18, {{"axis", int64_t{1}}, {"reduction", std::string(reduction)}}),
        {x, at, updates}));
  };
  EXPECT_EQ(with("none"), "f32[1, 5] {1, 30, 3, 20, 5}");
  EXPECT_EQ(with("add"), "f32[1, 5] {1, 42, 3, 24, 5}");
  EXPECT_EQ(with("mul"), "f32[1, 5] {1, 600, 3, 80, 5}");
  EXPECT_EQ(with("max"), "f32[1, 5] {1, 30, 3, 20, 5}");
  EXPECT_EQ(with("min"), "f32[1, 5] {1, 2, 3, 4, 5}");
  EXPECT_EQ(text(run_one(call("Scatter", 9, {{"axis", int64_t{1}}}), {x, at, updates})),
            "f32[1, 5] {1, 30, 3, 20, 5}");
  EXPECT_FALSE(
      run(call("ScatterElements", 18, {{"reduction", std::string("sum")}}), {x, at, updates})
          .has_value());
  EXPECT_FALSE(run(call("ScatterElements", 18), {x, at, f32({1, 2}, {1, 2})}).has_value());
}

TEST(Scatter, ElementsOfOtherTypes) {
  const HostTensor at = i64({0, 0});
  const OpCall add = call("ScatterElements", 18, {{"reduction", std::string("add")}});
  EXPECT_EQ(
      text(run_one(add, {tensor(DType::kU8, {1}, {250}), at, tensor(DType::kU8, {2}, {4, 5})})),
      "u8[1] {3}");
  EXPECT_EQ(text(run_one(call("ScatterElements", 18),
                         {strings({1}, {"a"}), at, strings({2}, {"b", "c"})})),
            "string[1] {c}");
}

TEST(Scatter, Nd) {
  const HostTensor x = f32({2, 2}, {1, 2, 3, 4});
  EXPECT_EQ(text(run_one(call("ScatterND", 11), {x, i64({1, 1}, {-1}), f32({1, 2}, {7, 8})})),
            "f32[2, 2] {1, 2, 7, 8}");
  EXPECT_EQ(text(run_one(call("ScatterND", 16, {{"reduction", std::string("add")}}),
                         {x, i64({2, 2}, {0, 1, 0, 1}), f32({2}, {10, 20})})),
            "f32[2, 2] {1, 32, 3, 4}");
  EXPECT_EQ(
      text(run_one(call("ScatterND", 18), {x, i64({1, 0}, {}), f32({1, 2, 2}, {5, 6, 7, 8})})),
      "f32[2, 2] {5, 6, 7, 8}");
  EXPECT_FALSE(run(call("ScatterND", 18), {x, i64({1, 3}, {0, 0, 0}), f32({1}, {1})}).has_value());
  EXPECT_EQ(infer(call("ScatterND", 18),
                  {InferInput::of("i64[2] = {n, 3}"), InferInput::of(i64({1, 1}, {1})),
                   InferInput::of("i64[1] = {m}")}),
            "i64[2] = {n, m}");
}

TEST(Scatter, Tensor) {
  const HostTensor cache = f32({1, 4, 1}, {1, 2, 3, 4});
  const HostTensor update = f32({1, 2, 1}, {8, 9});
  EXPECT_EQ(text(run_one(call("TensorScatter", 24), {cache, update, i64({1})})),
            "f32[1, 4, 1] {1, 8, 9, 4}");
  EXPECT_EQ(text(run_one(call("TensorScatter", 24, {{"mode", std::string("circular")}}),
                         {cache, update, i64({3})})),
            "f32[1, 4, 1] {9, 2, 3, 8}");
  EXPECT_EQ(text(run_one(call("TensorScatter", 24), {cache, update})), "f32[1, 4, 1] {8, 9, 3, 4}");
}

TEST(NonZero, Indices) {
  EXPECT_EQ(expanded_text(call("NonZero", 13), {f32({2, 2}, {1, 0, 2, 3})}),
            "i64[2, 3] {0, 1, 1, 0, 0, 1}");
  EXPECT_EQ(expanded_text(call("NonZero", 9), {f32({2}, {0, 0})}), "i64[1, 0] {}");
}

TEST(Compress, WithAndWithoutAxis) {
  const HostTensor x = f32({2, 3}, {1, 2, 3, 4, 5, 6});
  const HostTensor condition = HostTensor::of_ints(DType::kBool, {2}, {0, 1});
  EXPECT_EQ(expanded_text(call("Compress", 11, {{"axis", int64_t{-1}}}), {x, condition}),
            "f32[2, 1] {2, 5}");
  EXPECT_EQ(expanded_text(call("Compress", 11), {x, condition}), "f32[1] {2}");
}

TEST(NonMaxSuppression, TakesBestAndDropsOverlaps) {
  const HostTensor boxes = f32({1, 4, 4}, {0, 0, 1, 1, 0, 0.1f, 1, 1.1f, 1, 1, 0, 0, 0, 10, 1, 11});
  const HostTensor scores = f32({1, 1, 4}, {0.9f, 0.75f, 0.6f, 0.95f});
  const auto select = [&](int64_t limit, float iou, std::optional<HostTensor> threshold) {
    return expanded_text(call("NonMaxSuppression", 11),
                         {boxes, scores, i64({limit}), f32({iou}), std::move(threshold)});
  };
  EXPECT_EQ(select(3, 0.5f, kAbsent), "i64[2, 3] {0, 0, 3, 0, 0, 0}");
  EXPECT_EQ(select(1, 0.5f, kAbsent), "i64[1, 3] {0, 0, 3}");
  EXPECT_EQ(select(9, 0.9f, f32({0.7f})), "i64[3, 3] {0, 0, 3, 0, 0, 0, 0, 0, 1}");
  EXPECT_EQ(select(0, 0.5f, kAbsent), "i64[0, 3] {}");
  EXPECT_EQ(expanded_text(call("NonMaxSuppression", 10), {boxes, scores}), "i64[0, 3] {}");
}

}  // namespace
}  // namespace quern::optest
