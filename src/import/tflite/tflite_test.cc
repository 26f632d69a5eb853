// What TFLite's operators mean, on small models.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/cpu_session.h"
#include "api/session.h"
#include "import/convert/file.h"
#include "import/convert/importer.h"
#include "import/tflite/file_testing.h"

namespace quern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using F = FlatWriter;

constexpr int kAdd = 0;
constexpr int kConv2d = 3;
constexpr int kDepthwise = 4;
constexpr int kFullyConnected = 9;
constexpr int kMaxPool = 17;
constexpr int kRelu6 = 3;  // as an activation

TEST(Tflite, AddsWithActivationAndNamesOfTheSignature) {
  Lite lite;
  const int x = lite.input("serving_x:0", "f32[2]");
  const int y =
      lite.op(kAdd, {x, lite.constant("f32[2]", {5, -5})}, "f32[2]", {F::byte(0, kRelu6)});
  lite.output(y).signature("serving", {{"x", x}}, {{"y", y}});
  EXPECT_EQ(lite.run({{3, 1}}), "f32[2] 6 0");
  const auto model = import_bytes(lite.file());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->format, "TFLite");
  EXPECT_EQ(model->graph->inputs[0]->name, "x");
  EXPECT_EQ(model->graph->outputs[0]->name, "y");
  EXPECT_EQ(model->metadata.at("quern.signature serving"), "(x) -> (y)");
  // What inspect shows, after the way through ONNX.
  auto loaded = load_model(lite.file());
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto backend = CpuSession::make_backend();
  const auto session = Session::create(std::move(loaded->model), *backend, {});
  ASSERT_TRUE(session) << session.error().message;
  EXPECT_THAT((*session)->describe(), HasSubstr("\"signatures\":{\"serving\":\"(x) -> (y)\"}"));
}

TEST(Tflite, ConvolutionsWithSamePadding) {
  // 1 channel, 3x3 of ones on a 4x4 of ones, stride 2: the odd pad is after the data.
  Lite lite;
  const int x = lite.input("x", "f32[1, 4, 4, 1]");
  const int w = lite.constant("f32[1, 3, 3, 1]", std::vector<double>(9, 1));
  const int b = lite.constant("f32[1]", {0.5});
  lite.output(lite.op(kConv2d, {x, w, b}, "f32[1, 2, 2, 1]",
                      {F::byte(0, 0), F::word(1, 2), F::word(2, 2)}));
  EXPECT_EQ(lite.run({std::vector<double>(16, 1)}), "f32[1, 2, 2, 1] 9.5 6.5 6.5 4.5");
}

TEST(Tflite, GroupsFollowFromTheWeights) {
  Lite lite;
  const int x = lite.input("x", "f32[1, 1, 1, 4]");
  const int w = lite.constant("f32[2, 1, 1, 2]", {1, 2, 3, 4});
  lite.output(
      lite.op(kConv2d, {x, w}, "f32[1, 1, 1, 2]", {F::byte(0, 1), F::word(1, 1), F::word(2, 1)}));
  EXPECT_EQ(lite.run({{1, 10, 100, 1000}}), "f32[1, 1, 1, 2] 21 4300");
}

TEST(Tflite, DepthwiseWithMultiplier) {
  Lite lite;
  const int x = lite.input("x", "f32[1, 1, 1, 2]");
  const int w = lite.constant("f32[1, 1, 1, 4]", {1, 2, 3, 4});
  lite.output(lite.op(kDepthwise, {x, w}, "f32[1, 1, 1, 4]",
                      {F::byte(0, 1), F::word(1, 1), F::word(2, 1), F::word(3, 2)}));
  EXPECT_EQ(lite.run({{1, 10}}), "f32[1, 1, 1, 4] 1 2 30 40");
}

TEST(Tflite, QuantizedFullyConnected) {
  Lite lite;
  lite.quantized({0.5}, {1});
  const int x = lite.input("x", "i8[1, 2]");
  lite.quantized({0.25}, {0});
  const int w = lite.constant("i8[2, 2]", {1, 2, 3, 4});
  lite.quantized({0.125}, {0});
  const int b = lite.constant("i32[2]", {8, -8});
  lite.quantized({0.5}, {-3});
  lite.output(lite.op(kFullyConnected, {x, w, b}, "i8[1, 2]", {F::byte(0, 0)}));
  // x = 2, 4; w = .25 .5 / .75 1; b = 1, -1: 3.5 and 4.5.
  EXPECT_EQ(lite.run({{5, 9}}), "i8[1, 2] 4 6");
}

TEST(Tflite, MaxPoolOnStoredValues) {
  Lite lite;
  lite.quantized({0.5}, {1});
  const int x = lite.input("x", "u8[1, 2, 2, 1]");
  lite.quantized({0.5}, {1});
  lite.output(lite.op(kMaxPool, {x}, "u8[1, 1, 1, 1]",
                      {F::byte(0, 1), F::word(1, 1), F::word(2, 1), F::word(3, 2), F::word(4, 2)}));
  EXPECT_EQ(lite.run({{1, 7, 3, 4}}), "u8[1, 1, 1, 1] 7");
  EXPECT_THAT(lite.imported(), ::testing::Not(HasSubstr("Quantize")));
}

TEST(Tflite, ListsUnknownOperatorsAtOnce) {
  Lite lite;
  const int x = lite.input("x", "f32[2]");
  const int y = lite.op(136, {x}, "f32[2]");
  const int z = lite.custom("FlexMagic", 1, {y}, {"f32[2]"}, "")[0];
  lite.output(lite.custom("FlexMagic", 1, {z}, {"f32[2]"}, "")[0]);
  EXPECT_EQ(lite.imported(),
            "error: unsupported operators: HASHTABLE at node 't1'; custom operator 'FlexMagic' at "
            "node 't2' and 1 more");
}

TEST(Tflite, MemoryIsBounded) {
  // 200 constants of 16 kB.
  Lite lite;
  int sum = lite.input("x", "f32[4096]");
  for (int i = 0; i < 200; ++i) {
    sum = lite.op(kAdd, {sum, lite.constant("f32[4096]", {1})}, "f32[4096]");
  }
  lite.output(sum);
  const auto model = import_bytes(lite.file(), {.memory_limit = 4 << 20});
  ASSERT_TRUE(model) << model.error().message;
  const auto small = import_bytes(lite.file(), {.memory_limit = 1 << 20});
  ASSERT_FALSE(small);
  EXPECT_THAT(small.error().message, HasSubstr("more memory than is allowed"));
}

TEST(Tflite, LargeBuffersStayInTheFile) {
  Lite lite;
  const int x = lite.input("x", "f32[20000]");
  const int w = lite.outside("f32[20000]", {7});
  const int v = lite.constant("f32[20000]", {9});
  lite.output(lite.op(kAdd, {lite.op(kAdd, {x, w}, "f32[20000]"), v}, "f32[20000]"));
  const std::vector<uint8_t> file = lite.file();
  const auto model = import_bytes(file);
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->weights.size(), 2U);
  for (const WeightInfo& weight : model->weights) {
    EXPECT_EQ(weight.byte_length, 80000U);
    float first = 0;
    std::memcpy(&first, file.data() + weight.file_offset, 4);
    EXPECT_EQ(first, &weight == model->weights.data() ? 7 : 9);
  }
  EXPECT_THAT(lite.run({{1}}), StartsWith("f32[20000] 17 0"));
}

}  // namespace
}  // namespace quern::testing
