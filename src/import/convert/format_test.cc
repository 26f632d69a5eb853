#include <gtest/gtest.h>

#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"
#include "import/onnx/import_testing.h"

namespace quern {
namespace {

Format of(std::string_view text) {
  return format_of({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

TEST(Format, IsToldByTheFirstBytes) {
  using namespace std::string_view_literals;
  EXPECT_EQ(of("\x08\x0a\x12\x07pytorch"sv), Format::kOnnx);
  EXPECT_EQ(of("\x3a\x05"sv), Format::kOnnx);
  EXPECT_EQ(of("PK\x03\x04"sv), Format::kZip);
  EXPECT_EQ(of("\x1c\0\0\0TFL3"sv), Format::kTfLite);
  EXPECT_EQ(of(" {\"format\": \"graph-model\"}"sv), Format::kTensorFlowJs);
  EXPECT_EQ(of("{\"x\": 1}"sv), Format::kJson);
  EXPECT_EQ(of("\x80\x02\x8a\x0a"sv), Format::kTorchWeights);
  EXPECT_EQ(of("\x08\x01\x12\x05"sv), Format::kTensorFlow);
  EXPECT_EQ(of("\x0a\x20\x0a\x05input"sv), Format::kTensorFlow);
  EXPECT_EQ(of("\x89HDF\r\n\x1a\n"sv), Format::kHdf5);
  EXPECT_EQ(of("\x40\0\0\0\0\0\0\0{\"a\": 1}"sv), Format::kSafetensors);
  EXPECT_EQ(of("GIF89a"sv), Format::kUnknown);
  EXPECT_EQ(of(""sv), Format::kUnknown);
}

TEST(Format, OfAZipByItsNames) {
  EXPECT_EQ(format_of_zip({"model/data/weights/weight_0", "model/models/model.json"}),
            Format::kTorchExport);
  EXPECT_EQ(format_of_zip({"serialized_exported_program.json"}), Format::kTorchExport);
  EXPECT_EQ(format_of_zip({"x/data.pkl", "x/code/a.py"}), Format::kTorchScript);
  EXPECT_EQ(format_of_zip({"x/data.pkl", "x/version"}), Format::kTorchWeights);
  EXPECT_EQ(format_of_zip({"word/document.xml"}), Format::kZip);
  EXPECT_EQ(format_of_zip({}), Format::kZip);
}

TEST(OnnxWriter, WritesWhatItWasReadFrom) {
  using namespace testing;
  const Pb body = graph({.nodes = {node("Relu", {"x"}, {"r"})}, .outputs = {f32_value("r")}});
  const Pb other = graph({.nodes = {node("Neg", {"x"}, {"n"})}, .outputs = {f32_value("n")}});
  const Pb file =
      model(graph({.nodes = {node("Cast", {"c"}, {"b"}, {int_attribute("to", 9)}),
                             node("If", {"b"}, {"y"},
                                  {graph_attribute("then_branch", body),
                                   graph_attribute("else_branch", other)}),
                             node("LeakyRelu", {"y"}, {"z"}, {float_attribute("alpha", 0.25f)})},
                   .initializers = {f32_tensor("c", {}, {1})},
                   .inputs = {f32_value("x", {"n", "3"})},
                   .outputs = {f32_value("z", {"n", "3"})}}));
  const auto first = import_model(file);
  ASSERT_TRUE(first) << first.error().message;
  const auto bytes = write_onnx(*first);
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto second =
      import_model(Pb().append({reinterpret_cast<const char*>(bytes->data()), bytes->size()}));
  ASSERT_TRUE(second) << second.error().message;
  const auto again = write_onnx(*second);
  ASSERT_TRUE(again);
  EXPECT_EQ(*bytes, *again);
}

TEST(OnnxWriter, NamesOfNodesAreUnique) {
  Model model;
  model.graph = std::make_unique<Graph>();
  model.opsets[""] = 23;
  Value* value = model.graph->add_input("x", Type::tensor(DType::kF32, Shape()));
  for (const char* name : {"a", "a", "a#2", "b", "a"}) {
    Node* node = model.graph->add_node("Neg", {value}, 1);
    node->name = name;
    value = node->outputs[0];
  }
  model.graph->outputs.push_back(value);
  const auto bytes = write_onnx(model);
  ASSERT_TRUE(bytes) << bytes.error().message;
  const auto read = testing::import_model(
      testing::Pb().append({reinterpret_cast<const char*>(bytes->data()), bytes->size()}));
  ASSERT_TRUE(read) << read.error().message;
  std::vector<std::string> names;
  for (const auto& node : read->graph->nodes()) names.push_back(node->name);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "a#2", "a#2#2", "b", "a#3"}));
}

}  // namespace
}  // namespace quern
