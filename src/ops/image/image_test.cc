// Resize in its parts, GridSample, RoiAlign, AffineGrid.
#include "ops/common/resize_shape.h"
#include "ops/op_testing.h"

namespace quern::optest {
namespace {

using Attributes = std::map<std::string, AttributeValue, std::less<>>;

/// The source positions (row 0) of a table, of mode nearest.
std::vector<int64_t> nearest(int64_t in, int64_t out, std::string coordinates,
                             std::string rounding) {
  Attributes attributes = {{"axis", int64_t{0}},
                           {"coordinate_transformation_mode", std::move(coordinates)},
                           {"nearest_mode", std::move(rounding)}};
  const HostTensor table =
      run_one({.op = "ResizeTable", .version = 1, .attributes = attributes, .domain = "quern"},
              {i64({in}), std::nullopt, std::nullopt, i64({out})});
  std::vector<int64_t> row;
  for (int64_t i = 0; i < out; ++i) row.push_back(table.int_at(i));
  return row;
}

TEST(ResizeTable, Nearest) {
  using Row = std::vector<int64_t>;
  EXPECT_EQ(nearest(2, 4, "asymmetric", "floor"), (Row{0, 0, 1, 1}));
  EXPECT_EQ(nearest(2, 4, "asymmetric", "ceil"), (Row{0, 1, 1, 1}));
  EXPECT_EQ(nearest(4, 2, "half_pixel", "round_prefer_floor"), (Row{0, 2}));
  EXPECT_EQ(nearest(4, 2, "half_pixel", "round_prefer_ceil"), (Row{1, 3}));
  EXPECT_EQ(nearest(4, 7, "align_corners", "round_prefer_floor"), (Row{0, 0, 1, 1, 2, 2, 3}));
  EXPECT_EQ(nearest(4, 7, "align_corners", "round_prefer_ceil"), (Row{0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(nearest(3, 1, "pytorch_half_pixel", "floor"), (Row{0}));
  EXPECT_EQ(nearest(5, 5, "tf_half_pixel_for_nn", "ceil"), (Row{0, 1, 2, 3, 4}));
}

/// The output of a one-axis resize of mode linear or cubic.
std::string resized(const HostTensor& x, int64_t out, Attributes attributes,
                    std::optional<HostTensor> roi = std::nullopt) {
  attributes["axis"] = int64_t{0};
  const bool antialias = attributes.contains("antialias");
  const bool cubic = std::get<std::string>(attributes["mode"]) == "cubic";
  const HostTensor table =
      run_one({.op = "ResizeTable", .version = 1, .attributes = attributes, .domain = "quern"},
              {i64({x.dims[0]}), std::move(roi), std::nullopt, i64({out})});
  const Attributes passes = {{"axes", std::vector<int64_t>{0}},
                             {"taps", antialias ? int64_t{-1} : int64_t{cubic ? 4 : 2}},
                             {"crop", int64_t{1}},
                             {"extrapolation_value", 9.0f}};
  return text(run_one({.op = "Resample", .version = 1, .attributes = passes, .domain = "quern"},
                      {x, table}));
}

TEST(Resample, Linear) {
  const HostTensor x = f32({1, 3, 7});
  const AttributeValue linear = std::string("linear");
  EXPECT_EQ(resized(x, 6, {{"mode", linear}}), "f32[6] {1, 1.5, 2.5, 4, 6, 7}");
  EXPECT_EQ(
      resized(x, 5,
              {{"mode", linear}, {"coordinate_transformation_mode", std::string("align_corners")}}),
      "f32[5] {1, 2, 3, 5, 7}");
  EXPECT_EQ(resized(f32({0, 4, 8, 12}), 2, {{"mode", linear}, {"antialias", int64_t{1}}}),
            "f32[2] {2.5, 9.5}");
  // Integers are rounded, ties to even, and kept in range.
  EXPECT_EQ(resized(tensor(DType::kU8, {3}, {1, 2, 255}), 6, {{"mode", linear}}),
            "u8[6] {1, 1, 2, 65, 192, 255}");
}

TEST(Resample, CropsOutside) {
  EXPECT_EQ(resized(f32({1, 3, 7}), 3,
                    {{"mode", std::string("linear")},
                     {"coordinate_transformation_mode", std::string("tf_crop_and_resize")}},
                    f32({0.5, 1.5})),
            "f32[3] {3, 7, 9}");
}

TEST(Resample, CubicKeepsElements) {
  EXPECT_EQ(resized(f32({1, 3, 7, 2}), 7,
                    {{"mode", std::string("cubic")},
                     {"coordinate_transformation_mode", std::string("align_corners")}})
                .substr(0, 9),
            "f32[7] {1");
}

TEST(Resize, Infers) {
  const auto of = [](Attributes attributes, std::string_view x, std::optional<HostTensor> scales,
                     std::string_view sizes) {
    std::vector<InferInput> inputs = {InferInput::of(x), InferInput::absent()};
    inputs.push_back(scales ? InferInput::of(*scales) : InferInput::absent());
    if (!sizes.empty()) inputs.push_back(InferInput::of(sizes));
    return infer({.op = "Resize", .version = 19, .attributes = std::move(attributes)}, inputs);
  };
  EXPECT_EQ(of({}, "f32[n, 3, h, w]", f32({1, 1, 2, 0.5}), ""),
            "f32[n, 3, 2 * h, floor_div(w, 2)]");
  EXPECT_EQ(of({}, "f32[n, h, 5]", f32({1, 1, 0.6f}), ""), "f32[n, h, 3]");
  EXPECT_EQ(of({}, "f32[n, 3, h, w]", std::nullopt, "i64[4] = {n, 3, 2 * h, 7}"),
            "f32[n, 3, 2 * h, 7]");
  EXPECT_EQ(of({{"axes", std::vector<int64_t>{-1}}}, "f32[n, 4]", std::nullopt, "i64[1] = {9}"),
            "f32[n, 9]");
  const AttributeValue larger = std::string("not_larger");
  EXPECT_EQ(
      of({{"keep_aspect_ratio_policy", larger}}, "f32[4, 8]", std::nullopt, "i64[2] = {7, 8}"),
      "f32[4, 8]");
  EXPECT_TRUE(of({}, "f32[n, 4]", f32({1, -1}), "").starts_with("error"));
  EXPECT_TRUE(of({}, "f32[n, 4]", f32({1}), "").starts_with("error"));
  EXPECT_EQ(
      infer({.op = "Upsample", .version = 7, .attributes = {{"scales", std::vector<float>{1, 3}}}},
            {InferInput::of("f32[n, w]")}),
      "f32[n, 3 * w]");
}

TEST(GridSample, Paddings) {
  const HostTensor x = f32({1, 1, 1, 3}, {1, 2, 3});
  // Columns -1, -0.4, 2.4 and 4.
  const HostTensor grid = f32({1, 1, 4, 2}, {-4.0f / 3, 0, -2.8f / 3, 0, 2.8f / 3, 0, 2, 0});
  const auto of = [&](const char* mode, const char* padding) {
    return text(run_one(
        {.op = "GridSample",
         .version = 20,
         .attributes = {{"mode", std::string(mode)}, {"padding_mode", std::string(padding)}}},
        {x, grid}));
  };
  EXPECT_EQ(of("nearest", "zeros"), "f32[1, 1, 1, 4] {0, 1, 3, 0}");
  EXPECT_EQ(of("nearest", "border"), "f32[1, 1, 1, 4] {1, 1, 3, 3}");
  EXPECT_EQ(of("nearest", "reflection"), "f32[1, 1, 1, 4] {1, 1, 3, 2}");
}

TEST(AffineGrid, IdentityGivesThePlaces) {
  const HostTensor theta = f32({1, 2, 3}, {1, 0, 0, 0, 1, 0});
  EXPECT_EQ(text(run_one({.op = "AffineGrid", .version = 20}, {theta, i64({1, 1, 2, 2})})),
            "f32[1, 2, 2, 2] {-0.5, -0.5, 0.5, -0.5, -0.5, 0.5, 0.5, 0.5}");
  EXPECT_EQ(text(run_one(
                {.op = "AffineGrid", .version = 20, .attributes = {{"align_corners", int64_t{1}}}},
                {theta, i64({1, 1, 1, 3})})),
            "f32[1, 1, 3, 2] {-1, 0, 0, 0, 1, 0}");
}

TEST(RoiAlign, OfAConstantImage) {
  const HostTensor x = f32({1, 1, 4, 4}, std::vector<float>(16, 2.5f));
  const HostTensor rois = f32({2, 4}, {0, 0, 3, 3, 1, 1, 2, 3});
  EXPECT_EQ(
      text(run_one({.op = "RoiAlign",
                    .version = 16,
                    .attributes = {{"output_height", int64_t{1}}, {"output_width", int64_t{2}}}},
                   {x, rois, i64({0, 0})})),
      "f32[2, 1, 1, 2] {2.5, 2.5, 2.5, 2.5}");
}

}  // namespace
}  // namespace quern::optest
