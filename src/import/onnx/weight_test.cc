// The weight table: scanned and external data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "import/onnx/import_testing.h"

namespace quern {
namespace {

using namespace testing;  // NOLINT
using ::testing::HasSubstr;

constexpr int kF32 = 1, kI64 = 7;

const FileOptions kSmall{.scan = {.payload_threshold = 16}};

TEST(WeightTest, WeightTable) {
  const std::vector<float> eight(8, 1.f);
  const Pb file = simple(
      {node("Foo", {"a", "d", "s"}, {"y"})},
      {f32_tensor("a", {2, 4}, eight), f32_tensor("unused", {8}, eight),
       tensor("d", 11, {4}).packed_fixed<double>(10, {1, 2, 3, 4}), f32_tensor("s", {2}, {1, 2})});
  const auto model = import_model(file, kSmall);
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->weights.size(), 3u);
  EXPECT_EQ(model->weights[0].name, "a");
  EXPECT_EQ(model->weights[0].dtype, DType::kF32);
  EXPECT_EQ(model->weights[0].dims, (Dims{2, 4}));
  EXPECT_EQ(model->weights[0].byte_length, 32u);
  const char* at = file.data().data() + model->weights[0].file_offset;
  EXPECT_EQ(std::memcmp(at, eight.data(), 32), 0);
  EXPECT_EQ(model->weights[1].dtype, DType::kUndefined);
  EXPECT_EQ(model->weights[1].byte_length, 32u);
  EXPECT_EQ(model->weights[2].dtype, DType::kF64);
  EXPECT_THAT(print(*model->graph), HasSubstr("%a = weight 0 f32[2, 4]"));
  EXPECT_THAT(print(*model->graph), HasSubstr("%d = weight 2 f64[4]"));
  EXPECT_THAT(print(*model->graph), HasSubstr("%s = constant f32[2] [1, 2]"));
}

TEST(WeightTest, WrongWeights) {
  const std::vector<float> eight(8, 1.f);
  const auto error = [&](const Pb& tensor) {
    return imported(simple({node("Foo", {"w"}, {"y"})}, {tensor, f32_tensor("v", {8}, eight)}),
                    kSmall);
  };
  EXPECT_EQ(error(f32_tensor("w", {7}, eight)),
            "error: tensor 'w' (f32[7]) needs 28 bytes, its data field 9 has 32");
  EXPECT_THAT(error(tensor("w", kI64, {4}).packed_fixed(4, eight)), HasSubstr("data field 4"));
  EXPECT_THAT(error(tensor("w", 8, {4}).packed_fixed(9, eight)), HasSubstr("data field 9"));
  EXPECT_THAT(error(tensor("w", 1, {8}).packed_fixed(9, eight).packed_fixed(9, eight)),
              HasSubstr("in parts"));
  EXPECT_THAT(error(tensor("w", 1, {9}).packed_fixed(4, eight).fixed32(4, 1)),
              HasSubstr("in parts"));
  // A file that forges what the scanner writes.
  EXPECT_THAT(error(tensor("w", 1, {8}).varint(kWeightField, 0)), HasSubstr("not its own"));
  EXPECT_THAT(error(tensor("w", 1, {8}).varint(kWeightField, 77)), HasSubstr("not its own"));
}

Pb external(std::string_view location, std::string_view offset = "", std::string_view length = "") {
  Pb out = tensor("w", kF32, {100});
  out.varint(14, 1).message(13, Pb().bytes(1, "location").bytes(2, location));
  if (!offset.empty()) out.message(13, Pb().bytes(1, "offset").bytes(2, offset));
  if (!length.empty()) out.message(13, Pb().bytes(1, "length").bytes(2, length));
  return out;
}

TEST(WeightTest, ExternalData) {
  const Pb twin = Pb(external("a/./b.bin", "4096", "400")).bytes(8, "twin");
  const Pb file = simple({node("Foo", {"w", "twin"}, {"y"})}, {external("a/b.bin", "4096"), twin});
  const auto model = import_model(file);
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->weights.size(), 1u);  // one range, two names
  EXPECT_EQ(model->weights[0].file, "a/b.bin");
  EXPECT_EQ(model->weights[0].file_offset, 4096u);
  EXPECT_EQ(model->weights[0].byte_length, 400u);
  EXPECT_THAT(print(*model->graph), HasSubstr("%twin = weight 0 f32[100]"));
  EXPECT_THAT(imported(simple({node("Foo", {"w"}, {"y"})}, {external("onnx::MatMul_12")})),
              HasSubstr("weight 0"));
}

TEST(WeightTest, WrongExternalData) {
  const auto error = [&](const Pb& tensor) {
    return imported(simple({node("Foo", {"w"}, {"y"})}, {tensor}));
  };
  using namespace std::string_view_literals;
  for (const std::string_view path :
       {""sv, "/etc/passwd"sv, "../x"sv, "a/../../x"sv, "a/.."sv, "c:/x"sv, "C:x"sv, "a\\b"sv,
        "..\\x"sv, "\\\\host\\x"sv, "a\0b"sv, "."sv, "//x"sv}) {
    EXPECT_THAT(error(external(path)),
                HasSubstr("error: tensor 'w' (f32[100]): external data file"))
        << path;
  }
  EXPECT_THAT(error(external("x", "-1")), HasSubstr("not a number of bytes"));
  EXPECT_THAT(error(external("x", "1e3")), HasSubstr("not a number of bytes"));
  EXPECT_THAT(error(external("x", "99999999999999999999999")), HasSubstr("not a number of bytes"));
  EXPECT_THAT(error(external("x", "18446744073709551615")), HasSubstr("begins at byte"));
  EXPECT_THAT(error(external("x", "0", "399")), HasSubstr("has 399 bytes, not 400"));
  EXPECT_THAT(error(external("x").fixed32(4, 1)), HasSubstr("both external and in the model"));
}

TEST(WeightTest, SetWeightBytes) {
  const Pb file = simple({node("Foo", {"w"}, {"y"}, {tensor_attribute("t", external("a.bin"))})},
                         {external("a.bin")});
  auto model = import_model(file);
  ASSERT_TRUE(model);
  EXPECT_FALSE(set_weight_bytes(*model, 1, std::vector<uint8_t>(400)));
  EXPECT_FALSE(set_weight_bytes(*model, 0, std::vector<uint8_t>(399)));
  ASSERT_TRUE(set_weight_bytes(*model, 0, std::vector<uint8_t>(400)));
  EXPECT_THAT(print(*model->graph), Not(HasSubstr("weight")));
  EXPECT_TRUE(verify(*model->graph));
}

}  // namespace
}  // namespace quern
