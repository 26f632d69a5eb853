// Control flow, states, sparse tensors and custom operators of TFLite files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "import/convert/importer.h"
#include "import/tflite/file_testing.h"

namespace quern::testing {
namespace {

using ::testing::HasSubstr;
using F = FlatWriter;

TEST(TfliteStates, IfTakesABranch) {
  Lite lite;
  const int condition = lite.input("condition", "bool[1]");
  const int x = lite.input("x", "f32[2]");
  lite.output(lite.op(118, {condition, x}, "f32[2]", {F::word(0, 1), F::word(1, 2)}));
  lite.subgraph();
  int inner = lite.input("a", "f32[2]");
  lite.output(lite.op(0, {inner, lite.constant("f32[]", {1})}, "f32[2]"));
  lite.subgraph();
  inner = lite.input("b", "f32[2]");
  lite.output(inner);
  EXPECT_EQ(lite.run({{1}, {3, 4}}), "f32[2] 4 5");
  EXPECT_EQ(lite.run({{0}, {3, 4}}), "f32[2] 3 4");
}

TEST(TfliteStates, WhileRepeats) {
  Lite lite;
  const int n = lite.input("n", "i32[]");
  const int x = lite.input("x", "f32[1]");
  const auto results = lite.ops(119, {n, x}, {"i32[]", "f32[1]"}, {F::word(0, 1), F::word(1, 2)});
  lite.output(results[0]).output(results[1]);
  lite.subgraph();
  int count = lite.input("n", "i32[]");
  lite.input("x", "f32[1]");
  lite.output(lite.op(61, {count, lite.constant("i32[]", {0})}, "bool[]"));
  lite.subgraph();
  count = lite.input("n", "i32[]");
  const int value = lite.input("x", "f32[1]");
  lite.output(lite.op(41, {count, lite.constant("i32[]", {1})}, "i32[]"));
  lite.output(lite.op(18, {value, lite.constant("f32[]", {2})}, "f32[1]"));
  EXPECT_EQ(lite.run({{3}, {5}}), "i32[] 0; f32[1] 40");
  EXPECT_EQ(lite.run({{0}, {5}}), "i32[] 0; f32[1] 5");
}

TEST(TfliteStates, SubgraphsThatCallThemselvesAreRefused) {
  Lite lite;
  const int x = lite.input("x", "f32[1]");
  lite.output(lite.op(31, {x}, "f32[1]", {F::word(0, 1)}));
  lite.subgraph();
  const int y = lite.op(31, {lite.input("y", "f32[1]")}, "f32[1]", {F::word(0, 1)});
  lite.output(lite.op(31, {y}, "f32[1]", {F::word(0, 1)}));
  EXPECT_THAT(lite.imported(), HasSubstr("subgraphs are nested too deep"));
}

TEST(TfliteStates, VariablesAreInputsAndOutputs) {
  Lite lite;
  const auto handle = [&] { return lite.op(142, {}, "res[]", {F::text(1, "count")}); };
  const int x = lite.input("x", "f32[1]");
  lite.ops(129, {}, {}, {F::word(0, 1)});
  const int before = lite.op(143, {handle()}, "f32[1]");
  const int sum = lite.op(0, {before, x}, "f32[1]");
  lite.ops(144, {handle(), sum}, {});
  lite.output(sum);
  lite.subgraph();
  lite.ops(144, {handle(), lite.constant("f32[1]", {10})}, {});
  EXPECT_EQ(lite.run({{2}}), "f32[1] 12; f32[1] 12");
  EXPECT_EQ(lite.run({{2}, {5}}), "f32[1] 7; f32[1] 7");
  const auto model = import_bytes(lite.file());
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->inputs[1].name, "count");
  EXPECT_EQ(model->graph->outputs[1]->name, "count_out");
}

/// A cell of one unit whose gates are open: sigmoid(20) = 1.
TEST(TfliteStates, LstmKeepsItsState) {
  Lite lite;
  const int x = lite.input("x", "f32[1, 2, 1]");
  const auto k = [&](double value) { return lite.constant("f32[1, 1]", {value}); };
  const auto b = [&](double value) { return lite.constant("f32[1]", {value}); };
  std::vector<int> inputs = {x,  k(0), k(0), k(1),  k(0),  k(0), k(0),  k(0), k(0),
                             -1, -1,   -1,   b(20), b(20), b(0), b(20), -1,   -1};
  inputs.push_back(lite.variable("hidden", "f32[1, 1]"));
  inputs.push_back(lite.variable("cell", "f32[1, 1]"));
  lite.output(lite.op(44, inputs, "f32[1, 2, 1]", {F::byte(0, 4)}));
  // The cell sums tanh(x).
  EXPECT_EQ(lite.run({{100, 100}}),
            "f32[1, 2, 1] 0.7615942 0.9640276; f32[1, 1] 2; f32[1, 1] 0.9640276");
  EXPECT_EQ(lite.run({{0, 0}, {2}, {0}}).substr(0, 33), "f32[1, 2, 1] 0.9640276 0.9640276;");
}

TEST(TfliteStates, RnnAndSvdf) {
  Lite rnn;
  const int x = rnn.input("x", "f32[1, 3, 1]");
  const int w = rnn.constant("f32[1, 1]", {1});
  rnn.output(rnn.op(35,
                    {x, w, rnn.constant("f32[1, 1]", {0.5}), rnn.constant("f32[1]", {0}),
                     rnn.variable("h", "f32[1, 1]")},
                    "f32[1, 3, 1]", {F::byte(1, 1)}));
  EXPECT_EQ(rnn.run({{4, 1, -9}}), "f32[1, 3, 1] 4 3 0; f32[1, 1] 0");
  Lite svdf;
  const int y = svdf.input("x", "f32[1, 1]");
  svdf.output(
      svdf.op(27,
              {y, svdf.constant("f32[2, 1]", {1, 10}), svdf.constant("f32[2, 2]", {1, 2, 3, 4}),
               svdf.constant("f32[1]", {0.5}), svdf.variable("s", "f32[1, 4]")},
              "f32[1, 1]", {F::word(0, 2), F::byte(1, 0)}));
  // Filters see 1 2 (state, now) and 10 20.
  EXPECT_EQ(svdf.run({{2}, {0, 1, 0, 10}}), "f32[1, 1] 115.5; f32[1, 4] 1 2 10 20");
}

TEST(TfliteStates, SparseTensorsBecomeDense) {
  // [[0, 0, 1, 2], [3, 4, 0, 0]] in blocks of two columns, rows compressed.
  using Fields = std::vector<F::Field>;
  Lite lite;
  const Fields dense = {F::byte(0, 0), F::word(1, 2)};
  const Fields sparse = {F::byte(0, 1), F::byte(2, 1), F::table(3, {F::ints(0, {0, 1, 2})}),
                         F::byte(4, 1), F::table(5, {F::ints(0, {1, 0})})};
  lite.sparse({F::ints(0, {0, 1, 2}), F::ints(1, {1}), F::tables(2, {dense, sparse, dense})});
  const int k = lite.constant_bytes("f32[2, 4]", {1, 2, 3, 4});
  const int full = lite.op(124, {k}, "f32[2, 4]");
  lite.output(lite.op(0, {lite.input("x", "f32[2, 4]"), full}, "f32[2, 4]"));
  EXPECT_EQ(lite.run({std::vector<double>(8, 0)}), "f32[2, 4] 0 0 1 2 3 4 0 0");
}

std::string packed(std::vector<int32_t> words) {
  std::string out(words.size() * 4, '\0');
  std::memcpy(out.data(), words.data(), out.size());
  return out;
}

TEST(TfliteStates, CustomTransposedConvolution) {
  Lite lite;
  const int x = lite.input("x", "f32[1, 1, 2, 1]");
  const int w = lite.constant("f32[1, 1, 2, 1]", {1, 2});
  const int b = lite.constant("f32[1]", {0.5});
  lite.output(lite.custom("Convolution2DTransposeBias", 1, {x, w, b}, {"f32[1, 1, 4, 1]"},
                          packed({1, 2, 1}))[0]);
  EXPECT_EQ(lite.run({{1, 10}}), "f32[1, 1, 4, 1] 1.5 2.5 10.5 20.5");
}

TEST(TfliteStates, CustomPoolingAndBack) {
  Lite lite;
  const int x = lite.input("x", "f32[1, 2, 4, 1]");
  const std::string options = packed({1, 2, 2, 2, 2, 0});
  const auto pooled = lite.custom("MaxPoolingWithArgmax2D", 1, {x},
                                  {"f32[1, 1, 2, 1]", "f32[1, 1, 2, 1]"}, options);
  lite.output(pooled[0]).output(pooled[1]);
  lite.output(lite.custom("MaxUnpooling2D", 1, pooled, {"f32[1, 2, 4, 1]"}, options)[0]);
  EXPECT_EQ(lite.run({{1, 2, 8, 3, 5, 4, 6, 7}}),
            "f32[1, 1, 2, 1] 5 8; f32[1, 1, 2, 1] 2.1 0.1; f32[1, 2, 4, 1] 0 0 8 0 5 0 0 0");
}

TEST(TfliteStates, CustomTransformsOfLandmarks) {
  // The matrix: x' = 2 x + 10, y' = 3 y + 20.
  const std::vector<double> matrix = {2, 0, 0, 10, 0, 3, 0, 20, 0, 0, 1, 0, 0, 0, 0, 1};
  Lite lite;
  const int points = lite.input("x", "f32[1, 2, 3]");
  const int m = lite.constant("f32[1, 4, 4]", matrix);
  lite.output(lite.custom("TransformLandmarks", 2, {points, m}, {"f32[1, 2, 3]"}, "")[0]);
  EXPECT_EQ(lite.run({{1, 2, 7, 0, -1, 8}}), "f32[1, 2, 3] 12 26 7 10 17 8");
}

/// {"output_height": 1, "output_width": 3} as a FlexBuffer.
const std::string kOneByThree = [] {
  std::string out("output_height\0output_width\0", 27);
  // Keys, their vector (of 2, of bytes), then the map: offset and width of keys, size, values,
  // types; and the root.
  const auto byte = [&](size_t value) { out += static_cast<char>(value); };
  byte(2);
  byte(out.size());       // to the first key
  byte(out.size() - 14);  // to the second
  byte(2);                // back to the keys
  byte(1);
  byte(2);
  byte(1);
  byte(3);
  byte(4);
  byte(4);
  byte(4);  // back to the values
  byte(0x24);
  byte(1);
  return out;
}();

TEST(TfliteStates, CustomTransformOfATensor) {
  // Shifted by half a pixel; the third pixel's place is outside.
  Lite lite;
  const int x = lite.input("x", "f32[1, 1, 3, 1]");
  const int m = lite.constant("f32[1, 4, 4]", {1, 0, 0, 0.5, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1});
  lite.output(
      lite.custom("TransformTensorBilinear", 2, {x, m}, {"f32[1, 1, 3, 1]"}, kOneByThree)[0]);
  EXPECT_EQ(lite.run({{2, 4, 8}}), "f32[1, 1, 3, 1] 3 6 0");
}

}  // namespace
}  // namespace quern::testing
