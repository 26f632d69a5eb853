// Model-local functions.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/onnx/import_testing.h"

namespace quern {
namespace {

using namespace testing;  // NOLINT
using ::testing::HasSubstr;

Pb with_functions(Pb file, const std::vector<FunctionParts>& functions) {
  file.message(8, opset("local", 1));
  for (const FunctionParts& parts : functions) file.message(25, function(parts));
  return file;
}
Pb call(std::string_view name, const std::string& op, const std::vector<std::string>& inputs,
        const std::vector<std::string>& outputs, const std::vector<Pb>& attributes = {}) {
  return named_node(name, "local", node(op, inputs, outputs, attributes));
}

TEST(FunctionTest, FunctionsAreInlined) {
  const FunctionParts scale{
      .name = "Scale",
      .domain = "local",
      .inputs = {"a", "b"},
      .outputs = {"r"},
      .attributes = {"alpha"},
      .nodes = {node("Mul", {"t", "k"}, {"r"}),
                node("Constant", {}, {"k"}, {ref_attribute("value_float", 1, "alpha")}),
                node("Clip", {"a", "b"}, {"t"})}};
  const FunctionParts twice{
      .name = "Twice",
      .domain = "local",
      .inputs = {"x"},
      .outputs = {"y"},
      .attributes = {"beta"},
      .nodes = {call("", "Scale", {"x"}, {"m"}, {ref_attribute("alpha", 1, "beta")}),
                call("s", "Scale", {"m", "x"}, {"y"}, {float_attribute("alpha", 3)})}};
  const Pb file = with_functions(
      simple({call("n", "Twice", {"x"}, {"y"}, {float_attribute("beta", 2)})}), {scale, twice});
  EXPECT_EQ(imported(file), R"(graph g(%x: f32[2]) {
  %n/m/k = constant f32[] [2]
  %n/s/k = constant f32[] [3]
  %n/m/t = Clip@17(%x) as n/m/Clip_t
  %n/m = Mul@17(%n/m/t, %n/m/k) as n/m/Mul_r
  %n/s/t = Clip@17(%n/m, %x) as n/s/Clip_t
  %y: f32[2] = Mul@17(%n/s/t, %n/s/k) as n/s/Mul_r
  return %y
}
)");
}

TEST(FunctionTest, FunctionAttributes) {
  const FunctionParts f{
      .name = "F",
      .domain = "local",
      .inputs = {"a"},
      .outputs = {"r"},
      .attributes = {"p", "body"},
      .nodes = {node("Foo", {"a"}, {"t"}, {ref_attribute("i", 2, "p"), ref_attribute("j", 2, "q")}),
                node("If", {"t"}, {"r"},
                     {ref_attribute("then_branch", 5, "body"),
                      graph_attribute(
                          "else_branch",
                          graph({.nodes = {node("Foo", {"t"}, {"u"}, {ref_attribute("i", 2, "p")})},
                                 .outputs = {f32_value("u")}}))})},
      .defaults = {int_attribute("q", 5)}};
  const Pb body = graph({.nodes = {node("Relu", {"x"}, {"b"})}, .outputs = {f32_value("b")}});
  const Pb file = with_functions(
      simple(
          {call("n", "F", {"x"}, {"z"}, {int_attribute("p", 1), graph_attribute("body", body)}),
           call("k", "F", {"z"}, {"y"}, {int_attribute("q", 7), graph_attribute("body", body)})}),
      {f});
  // Each call has its own body, with the values of the caller.
  EXPECT_EQ(imported(file), R"(graph g(%x: f32[2]) {
  %n/t = Foo@17(%x) {i = 1, j = 5} as n/Foo_t
  %z = If@17(%n/t) {else_branch = graph g() {
    %n/u: f32[2] = Foo@17(%n/t) {i = 1} as n/Foo_u
    return %n/u
  }, then_branch = graph g() {
    %b: f32[2] = Relu@17(%x) as Relu_b
    return %b
  }} as n/If_r
  %k/t = Foo@17(%z) {j = 7} as k/Foo_t
  %y: f32[2] = If@17(%k/t) {else_branch = graph g() {
    %k/u: f32[2] = Foo@17(%k/t) as k/Foo_u
    return %k/u
  }, then_branch = graph g() {
    %b: f32[2] = Relu@17(%x) as Relu_b
    return %b
  }} as k/If_r
  return %y
}
)");
}

TEST(FunctionTest, FunctionOutputsOfAllSorts) {
  // An input handed on, an output given twice, a constant, an output that nobody takes.
  const FunctionParts f{.name = "F",
                        .domain = "local",
                        .inputs = {"a"},
                        .outputs = {"a", "t", "t", "c", "n"},
                        .attributes = {},
                        .nodes = {node("Relu", {"a"}, {"t"}), node("Relu", {"t"}, {"n"}),
                                  node("Constant", {}, {"c"}, {int_attribute("value_int", 3)})}};
  const Pb file = with_functions(simple({call("n", "F", {"x"}, {"p", "q", "r", "s", ""}),
                                         node("Foo", {"p", "q", "r", "s"}, {"y"})}),
                                 {f});
  EXPECT_EQ(imported(file), R"(graph g(%x: f32[2]) {
  %s = constant i64[] [3]
  %q = Relu@17(%x) as n/Relu_t
  %n/n = Relu@17(%q) as n/Relu_n
  %p = Identity@1(%x) as n/Identity_0
  %r = Identity@1(%q) as n/Identity_2
  %y: f32[2] = Foo@17(%p, %q, %r, %s) as Foo_y
  return %y
}
)");
}

TEST(FunctionTest, WrongFunctions) {
  FunctionParts f{.name = "F",
                  .domain = "local",
                  .inputs = {"a"},
                  .outputs = {"r"},
                  .attributes = {},
                  .nodes = {node("Relu", {"x"}, {"r"})}};
  const auto error = [&](const std::vector<std::string>& inputs = {"x"},
                         const std::vector<std::string>& outputs = {"y"}) {
    return imported(with_functions(simple({call("n", "F", inputs, outputs)}), {f}));
  };
  EXPECT_EQ(error(), "error: node 'n' (local.F): node of 'r' (Relu): input 0 'x' is not defined");
  f.nodes = {node("Relu", {"a"}, {"q"})};
  EXPECT_EQ(error(), "error: node 'n' (local.F): function 'F' does not define its output 'r'");
  EXPECT_THAT(error({"x", "x"}), HasSubstr("has 2 inputs and 1 outputs, its function 1 and 1"));
  EXPECT_THAT(error({"x"}, {"y", "z"}), HasSubstr("has 1 inputs and 2 outputs"));
  f.nodes = {node("Relu", {"a"}, {"a"})};
  EXPECT_THAT(error(), HasSubstr("value 'a' is defined twice"));
  f.outputs = {"a"};
  f.nodes = {};
  EXPECT_THAT(error({""}), HasSubstr("does not define its output"));
  f.outputs = {"a"};
  EXPECT_THAT(error({"y"}), HasSubstr("depends on its own output"));
  // Recursion.
  f = {.name = "F",
       .domain = "local",
       .inputs = {"a"},
       .outputs = {"r"},
       .attributes = {},
       .nodes = {call("", "F", {"a"}, {"r"})}};
  EXPECT_THAT(error(), HasSubstr("nested more than 32 deep"));
}

TEST(FunctionTest, FunctionsThatGrowExponentiallyAreRefused) {
  std::vector<FunctionParts> functions;
  for (int i = 0; i < 25; ++i) {
    FunctionParts f{.name = cat("F", i),
                    .domain = "local",
                    .inputs = {"a"},
                    .outputs = {"r"},
                    .attributes = {},
                    .nodes = {}};
    for (int k = 0; k < 10; ++k) {
      f.nodes.push_back(call("", cat("F", i + 1), {k == 0 ? "a" : cat("t", k)},
                             {k == 9 ? "r" : cat("t", k + 1)}));
    }
    functions.push_back(f);
  }
  const Pb file = with_functions(simple({call("n", "F0", {"x"}, {"y"})}), functions);
  const FileOptions options{.import = {.memory_limit = 10 << 20}};
  EXPECT_EQ(code_of(file, options), ErrorCode::kLimit);
  EXPECT_THAT(imported(file, options), HasSubstr("takes more than 10485760 bytes"));
}

TEST(FunctionTest, TensorsOfFunctionsAreShared) {
  const FunctionParts f{
      .name = "F",
      .domain = "local",
      .inputs = {"a"},
      .outputs = {"r"},
      .attributes = {},
      .nodes = {node("Constant", {}, {"c"},
                     {tensor_attribute("value", f32_tensor("w", {100}, std::vector<float>(100)))}),
                node("Add", {"a", "c"}, {"r"})}};
  const Pb file =
      with_functions(simple({call("n", "F", {"x"}, {"z"}), call("m", "F", {"z"}, {"y"})}), {f});
  const auto model = import_model(file, {.scan = {.payload_threshold = 100}});
  ASSERT_TRUE(model) << model.error().message;
  ASSERT_EQ(model->weights.size(), 1u);
  EXPECT_EQ(model->weights[0].dims, Dims{100});
  EXPECT_THAT(print(*model->graph), HasSubstr("%n/c = weight 0 f32[100]"));
  EXPECT_THAT(print(*model->graph), HasSubstr("%m/c = weight 0 f32[100]"));
}

TEST(FunctionTest, DeepSubgraphsAreRefused) {
  Pb inner = graph({.outputs = {f32_value("x")}});
  for (int i = 0; i < 31; ++i) {
    inner = graph({.nodes = {node("If", {"x"}, {"y"}, {graph_attribute("g", inner)})},
                   .outputs = {f32_value("y")}});
    if (i == 29) {
      EXPECT_THAT(imported(simple({node("If", {"x"}, {"y"}, {graph_attribute("g", inner)})})),
                  HasSubstr("graph g"));
    }
  }
  EXPECT_EQ(code_of(simple({node("If", {"x"}, {"y"}, {graph_attribute("g", inner)})})),
            ErrorCode::kLimit);
  // A graph that functions hand down to one another, each putting it into a body.
  const FunctionParts f{
      .name = "F",
      .domain = "local",
      .inputs = {"a"},
      .outputs = {"r"},
      .attributes = {"b"},
      .nodes = {node("If", {"a"}, {"r"},
                     {graph_attribute("g", graph({.nodes = {call("", "F", {"a"}, {"t"},
                                                                 {ref_attribute("b", 5, "b")})},
                                                  .outputs = {f32_value("t")}}))})}};
  EXPECT_EQ(code_of(with_functions(
                simple({call("n", "F", {"x"}, {"y"}, {graph_attribute("b", inner)})}), {f})),
            ErrorCode::kLimit);
}

}  // namespace
}  // namespace quern
