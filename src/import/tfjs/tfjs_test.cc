// model.json and its shards, as far as no engine is needed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"

namespace quern {
namespace {

using ::testing::HasSubstr;

/// y = x + w, with w of `count` floats in two shards, the first of `cut` bytes.
std::string add_model(int count) {
  return cat(R"({"format": "graph-model", "modelTopology": {"node": [
    {"name": "x", "op": "Placeholder", "attr": {"dtype": {"type": "DT_FLOAT"},
      "shape": {"shape": {"dim": [{"size": "-1"}]}}}},
    {"name": "w", "op": "Const"},
    {"name": "y", "op": "AddV2", "input": ["x", "w"]}]},
    "weightsManifest": [{"paths": ["a.bin", "b.bin"],
      "weights": [{"name": "w", "shape": [)",
             count, R"(], "dtype": "float32"}]}]})");
}

Result<Model> import(const std::string& json, uint64_t first, uint64_t second,
                     uint64_t inline_below = 65536) {
  const std::span<const uint8_t> file(reinterpret_cast<const uint8_t*>(json.data()), json.size());
  ConvertOptions options;
  options.inline_below = inline_below;
  return import_bytes(file, options, [&](const ByteRange& range) {
    std::vector<uint8_t> bytes(range.length);
    const uint64_t size = range.file == "a.bin" ? first : second;
    if (range.is_size) store_bits(DType::kU64, bytes.data(), 0, size);
    return Result<std::vector<uint8_t>>(bytes);
  });
}

TEST(TfjsShards, LargeTensorsStayInThemInWholeElements) {
  const auto model = import(add_model(40'000), 80'002, 79'998);
  ASSERT_TRUE(model) << model.error().message;
  // The element at the cut is in the model.
  ASSERT_EQ(model->weights.size(), 2U);
  EXPECT_EQ(model->weights[0].file, "a.bin");
  EXPECT_EQ(model->weights[0].byte_length, 80'000U);
  EXPECT_EQ(model->weights[1].file, "b.bin");
  EXPECT_EQ(model->weights[1].file_offset, 2U);
  EXPECT_EQ(model->weights[1].byte_length, 79'996U);
  EXPECT_TRUE(write_onnx(*model));
}

TEST(TfjsShards, SmallTensorsComeIntoTheModel) {
  const auto model = import(add_model(100), 201, 199);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_TRUE(model->weights.empty());
}

TEST(TfjsShards, MustHoldTheirTensors) {
  const auto model = import(add_model(100), 201, 198);
  ASSERT_FALSE(model);
  EXPECT_THAT(model.error().message, HasSubstr("the shards of weight 'w' end 1 bytes too early"));
}

TEST(TfjsShards, StayInTheFolder) {
  for (const char* inside : {"a.bin", "a/b.bin", "..a", "a..b/c"}) {
    EXPECT_TRUE(is_inside_folder(inside)) << inside;
  }
  for (const char* outside : {"", "/a", "../a", "a/../../b", "a/..", "\\a", "c:/a", "http://x/a"}) {
    EXPECT_FALSE(is_inside_folder(outside)) << outside;
  }
}

TEST(TfjsGraph, CyclesAndMissingNodesAreErrors) {
  const auto of = [](std::string_view nodes) {
    const auto model = import(cat(R"({"modelTopology": {"node": [)", nodes, "]}}"), 0, 0);
    return model ? std::string("a model") : model.error().message;
  };
  EXPECT_THAT(of(R"({"name": "a", "op": "Neg", "input": ["b"]},
                    {"name": "b", "op": "Neg", "input": ["a"]},
                    {"name": "c", "op": "Neg", "input": ["a"]})"),
              HasSubstr("is part of a cycle"));
  EXPECT_THAT(of(R"({"name": "a", "op": "Neg", "input": ["b"]})"),
              HasSubstr("its input 'b' is no node"));
  // A branch that needs what it is joined to, and a loop whose condition needs its result.
  const std::string_view needs_itself = "control flow that needs itself, or is nested too deep";
  const auto joined = [](const std::vector<std::string>& nodes) { return join(nodes, ", "); };
  const auto node = [](const char* name, const char* op, const char* inputs,
                       const char* more = "") {
    return cat(R"({"name": ")", name, R"(", "op": ")", op, R"(", "input": [)", inputs, "]", more,
               "}");
  };
  EXPECT_THAT(
      of(joined({node("x", "Placeholder", ""),
                 node("p", "Placeholder", "", R"(, "attr": {"dtype": {"type": "DT_BOOL"}})"),
                 node("s", "Switch", R"("x", "p")"), node("a", "AddV2", R"("s:1", "m")"),
                 node("m", "Merge", R"("s", "a")"), node("y", "Neg", R"("m")")})),
      HasSubstr(needs_itself));
  EXPECT_THAT(
      of(joined({node("x", "Placeholder", ""),
                 node("enter", "Enter", R"("x")", R"(, "attr": {"frame_name": {"s": "Zg=="}})"),
                 node("merge", "Merge", R"("enter", "next")"),
                 node("less", "Less", R"("merge", "exit")"), node("cond", "LoopCond", R"("less")"),
                 node("switch", "Switch", R"("merge", "cond")"),
                 node("neg", "Neg", R"("switch:1")"), node("next", "NextIteration", R"("neg")"),
                 node("exit", "Exit", R"("switch")"), node("y", "Neg", R"("exit")")})),
      HasSubstr(needs_itself));
  EXPECT_THAT(of(R"({"name": "a", "op": "Const"}, {"name": "b", "op": "Neg", "input": ["a"]})"),
              HasSubstr("node 'a' (Const): weight 'a': the manifest does not have it"));
}

}  // namespace
}  // namespace quern
