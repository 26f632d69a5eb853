#include <gtest/gtest.h>

#include "import/onnx/import.h"
#include "ir/print.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kFields[] = {{"axis", AttributeKind::kInt, true},
                                      {"mode", AttributeKind::kString}};
constexpr OpDef kKnown{.name = "Known", .min_inputs = 1, .max_inputs = 2, .attributes = kFields};

const OpDef* lookup(std::string_view name, std::string_view, int) {
  return name == "Known" ? &kKnown : nullptr;
}

Model parse(std::string_view text) {
  Model model;
  auto graph = parse_graph(text);
  EXPECT_TRUE(graph) << graph.error().message;
  model.graph = *std::move(graph);
  return model;
}

TEST(CheckTest, AllUnsupportedOperatorsAreListed) {
  const Model model = parse(R"(graph (%x) {
  %a = Known(%x)
  %b = Foo@17(%x) as first
  %c = com.microsoft.Bar@1(%b) {body = graph () {
    %d = Foo@17(%x) as second
    return %d
  }} as bar
  %e = Foo@18(%x) as third
  return %e
})");
  const auto result = check_supported(model, lookup);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(result.error().message,
            "unsupported operators: Foo (domain ai.onnx, opset 17) at node 'first' and 1 more; "
            "Bar (domain com.microsoft, opset 1) at node 'bar'; "
            "Foo (domain ai.onnx, opset 18) at node 'third'");
  EXPECT_TRUE(check_supported(parse("graph (%x) { %a = Known(%x) return %a }"), lookup));
}

std::string nodes_error(std::string_view call) {
  const auto result =
      check_nodes(parse(cat("graph (%x) { %a = ", call, " as n return %a }")), lookup);
  return result ? "" : result.error().message;
}

TEST(CheckTest, NodesFollowTheirDefinition) {
  EXPECT_EQ(nodes_error("Known(%x) {axis = 1}"), "");
  EXPECT_EQ(nodes_error("Known(%x, _, %x) {axis = 1}"),
            "node 'n' (Known): has 3 inputs, not 1 to 2");
  EXPECT_EQ(nodes_error("Known() {axis = 1}"), "node 'n' (Known): has 0 inputs, not 1 to 2");
  EXPECT_EQ(nodes_error("Known(%x)"), "node 'n' (Known): lacks attribute 'axis'");
  EXPECT_EQ(nodes_error("Known(%x) {axis = 1.0}"),
            "node 'n' (Known): attribute 'axis' is not an int");
  EXPECT_EQ(nodes_error("Known(%x) {axis = 1, mode = 2}"),
            "node 'n' (Known): attribute 'mode' is not a string");
  EXPECT_EQ(nodes_error("Unknown() {axis = 1.0}"), "");
  EXPECT_EQ(nodes_error("Known(%x) {axis = 1, other = 2}"), "");
  EXPECT_EQ(nodes_error("com.microsoft.Known@1(%x) {axis = 1, other = 2}"),
            "node 'n' (com.microsoft.Known): attribute 'other' is not known, expected axis, mode");
}

}  // namespace
}  // namespace quern
