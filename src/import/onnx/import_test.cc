#include "import/onnx/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/onnx/import_testing.h"

namespace quern {
namespace {

using namespace testing;  // NOLINT
using ::testing::HasSubstr;

constexpr int kI64 = 7;

TEST(ImportTest, AModel) {
  Pb file = simple({node("Add", {"x", "w"}, {"y"})}, {f32_tensor("w", {2}, {1, 2})});
  file.bytes(3, "1.0").message(14, Pb().bytes(1, "key").bytes(2, "value"));
  file.message(8, opset("ai.onnx.ml", 3));
  const auto model = import_model(file);
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(print(*model->graph), R"(graph g(%x: f32[2]) {
  %w = constant f32[2] [1, 2]
  %y: f32[2] = Add@17(%x, %w) as Add_y
  return %y
}
)");
  EXPECT_EQ(model->format, "onnx");
  EXPECT_EQ(model->producer, "test 1.0");
  EXPECT_EQ(model->metadata.at("key"), "value");
  EXPECT_EQ(model->opsets.at(""), 17);
  EXPECT_EQ(model->opsets.at("ai.onnx.ml"), 3);
}

TEST(ImportTest, NodesInAnyOrderAbsentInputsAndOutputs) {
  EXPECT_EQ(imported(simple({node("Clip", {"b", "", "m"}, {"y"}),
                             node("Dropout", {"a", "", ""}, {"b", "", ""}),
                             node("LSTM", {"x"}, {"", "a"}), node("Split", {"x"}, {"m", ""})})),
            R"(graph g(%x: f32[2]) {
  %7, %a = LSTM@17(%x) as LSTM_
  %b = Dropout@17(%a) as Dropout_b
  %m, %9 = Split@17(%x) as Split_m
  %y: f32[2] = Clip@17(%b, _, %m) as Clip_y
  return %y
}
)");
}

TEST(ImportTest, AttributesOfAllKinds) {
  const Pb shape = tensor_type(kI64, {"3"});
  const Pb sparse = Pb().message(1, f32_tensor("", {1}, {5}))
                        .message(2, tensor("", kI64, {1}).packed(7, {1}))
                        .varint(3, 2);
  EXPECT_EQ(imported(simple(
                {node("Foo", {"x"}, {"y"},
                      {int_attribute("a_int", -3), float_attribute("b_float", 0.5),
                       Pb().bytes(1, "c_string").varint(20, 3).bytes(4, "text"),
                       Pb().bytes(1, "d_ints").varint(20, 7).packed(8, {1, -2}),
                       Pb().bytes(1, "e_floats").varint(20, 6).packed_fixed<float>(7, {1, 2}),
                       Pb().bytes(1, "f_strings").varint(20, 8).bytes(9, "p").bytes(9, ""),
                       tensor_attribute("g_tensor", f32_tensor("", {1}, {4})),
                       Pb().bytes(1, "h_type").varint(20, 13).message(14, shape),
                       Pb().bytes(1, "i_sparse").varint(20, 11).message(22, sparse),
                       Pb().bytes(1, "j_graphs")
                           .varint(20, 10)
                           .message(11, graph({.outputs = {f32_value("x")}})),
                       // No kind, as in early models; and kinds without a value.
                       Pb().bytes(1, "k").varint(8, 7), Pb().bytes(1, "l").varint(20, 7),
                       Pb().bytes(1, "m").varint(20, 2), Pb().bytes(1, "n").fixed32(7, 1)})})),
            R"(graph g(%x: f32[2]) {
  %y: f32[2] = Foo@17(%x) {a_int = -3, b_float = 0.5, c_string = "text", d_ints = [1, -2], e_floats = [1.0, 2.0], f_strings = ["p", ""], g_tensor = constant f32[1] [4], h_type = type i64[3], i_sparse = constant f32[2] [0, 5], j_graphs = [graph g() {
    return %x
  }], k = [7], l = ints [], m = 0, n = [1.0]} as Foo_y
  return %y
}
)");
}

TEST(ImportTest, WrongAttributes) {
  const auto error = [](const Pb& attribute) {
    return imported(simple({node("Foo", {"x"}, {"y"}, {attribute})}));
  };
  EXPECT_EQ(error(Pb().bytes(1, "t").varint(20, 9)),
            "error: node of 'y' (Foo): attribute 't': is of kind 9");
  EXPECT_THAT(error(Pb().varint(20, 2)), HasSubstr("an attribute has no name"));
  EXPECT_THAT(error(ref_attribute("a", 2, "b")), HasSubstr("outside a function"));
  EXPECT_THAT(error(tensor_attribute("t", tensor("", 1, {1}))), HasSubstr("needs 4 bytes"));
  EXPECT_THAT(
      imported(simple({node("Foo", {"x"}, {"y"}, {int_attribute("a", 1), int_attribute("a", 1)})})),
      HasSubstr("attribute 'a' is given twice"));
}

TEST(ImportTest, ConstantNodes) {
  const Pb sparse = Pb().message(1, f32_tensor("", {1}, {5}))
                        .message(2, tensor("", kI64, {1}).packed(7, {1}))
                        .varint(3, 2);
  const auto constant = [](std::string_view name, const Pb& attribute) {
    return node("Constant", {}, {std::string(name)}, {attribute});
  };
  const std::vector<Pb> nodes = {
      node("Foo", {"a", "b", "c", "d", "e", "f", "g", "h"}, {"y"}),
      constant("a", tensor_attribute("value", f32_tensor("", {1}, {4}))),
      constant("b", Pb().bytes(1, "sparse_value").varint(20, 11).message(22, sparse)),
      constant("c", int_attribute("value_int", 3)),
      constant("d", Pb().bytes(1, "value_ints").varint(20, 7).packed(8, {1, 2})),
      constant("e", float_attribute("value_float", 1.5)),
      constant("f", Pb().bytes(1, "value_floats").varint(20, 6).packed_fixed<float>(7, {1})),
      constant("g", Pb().bytes(1, "value_string").varint(20, 3).bytes(4, "s")),
      constant("h", Pb().bytes(1, "value_strings").varint(20, 8).bytes(9, "s").bytes(9, "t"))};
  EXPECT_EQ(imported(simple(nodes)), R"(graph g(%x: f32[2]) {
  %a = constant f32[1] [4]
  %b = constant f32[2] [0, 5]
  %c = constant i64[] [3]
  %d = constant i64[2] [1, 2]
  %e = constant f32[] [1.5]
  %f = constant f32[1] [1]
  %g = constant string[] ["s"]
  %h = constant string[2] ["s", "t"]
  %y: f32[2] = Foo@17(%a, %b, %c, %d, %e, %f, %g, %h) as Foo_y
  return %y
}
)");
  EXPECT_EQ(imported(simple({node("Constant", {}, {"y"})})),
            "error: node of 'y' (Constant): has no value");
}

TEST(ImportTest, SymbolicDims) {
  const Pb file = model(graph(
      {.nodes = {node("Foo", {"a", "b", "s"}, {"y", "z", "k"})},
       .inputs = {f32_value("a", {"batch", "", "3"}), f32_value("b", {"batch", "-1", "?"}),
                  f32_value("c:0", {"n + 1"}), value_info("n", Pb().message(1, Pb().varint(1, 1))),
                  value_info("s", Pb().message(4, Pb().message(1, tensor_type(1, {"4"})))),
                  value_info("o", Pb().message(9, Pb().message(1, tensor_type(1, {""}))))},
       .outputs = {f32_value("y", {"batch", "7"}), f32_value("z", {"other", "7"})},
       .values = {
           value_info("k", Pb().message(5, Pb().varint(1, 8).message(2, tensor_type(1, {}))))}}));
  EXPECT_EQ(
      imported(file),
      R"(graph g(%a: f32[batch, a_d1, 3], %b: f32[batch, b_d1, b_d2], %c:0: f32["n + 1"], %n: f32[*], %s: sequence<f32[4]>, %o: optional<f32[_any]>) {
  %y: f32[batch, 7], %z: f32[*], %k: map<string, f32[]> = Foo@17(%a, %b, %s) as Foo_y
  return %y, %z
}
)");
}

TEST(ImportTest, WrongTypes) {
  const auto error = [](const Pb& type) {
    return imported(model(graph({.inputs = {value_info("x", type)}, .outputs = {f32_value("x")}})));
  };
  EXPECT_EQ(error(Pb()), "error: input 'x': it has no type");
  EXPECT_EQ(error(Pb().message(1, Pb())), "error: input 'x': the element type is undefined");
  EXPECT_EQ(error(Pb().message(5, Pb())), "error: input 'x': the element type is undefined");
  EXPECT_EQ(error(Pb().message(8, Pb())), "error: input 'x': sparse tensors");
  EXPECT_EQ(error(Pb().message(7, Pb())), "error: input 'x': opaque types");
  EXPECT_THAT(error(tensor_type(1, std::vector<std::string>(40, "1"))), HasSubstr("more than 32"));
  Pb deep = tensor_type(1, {});
  for (int i = 0; i < 100; ++i) deep = Pb().message(4, Pb().message(1, deep));
  EXPECT_THAT(error(deep), HasSubstr("nested too deep"));
}

TEST(ImportTest, InitializersThatAreInputs) {
  const Pb file = model(
      graph({.nodes = {node("Add", {"x", "w"}, {"y"})},
             .initializers = {f32_tensor("w", {2}, {1, 2}), f32_tensor("unused", {2}, {3, 4})},
             .inputs = {f32_value("x"), f32_value("w")},
             .outputs = {f32_value("y"), f32_value("w")}}));
  EXPECT_EQ(imported(file), R"(graph g(%x: f32[2]) {
  %w = constant f32[2] [1, 2]
  %y: f32[2] = Add@17(%x, %w) as Add_y
  return %y, %w
}
)");
}

TEST(ImportTest, SparseInitializer) {
  Pb main = graph({.nodes = {node("Add", {"x", "s"}, {"y"})},
                   .inputs = {f32_value("x")},
                   .outputs = {f32_value("y")}});
  main.message(15, Pb().message(1, f32_tensor("s", {1}, {5}))
                       .message(2, tensor("", kI64, {1, 1}).packed(7, {1}))
                       .varint(3, 2));
  EXPECT_THAT(imported(model(main)), HasSubstr("%s = constant f32[2] [0, 5]"));
}

TEST(ImportTest, SubgraphsCaptureAndShadow) {
  const Pb inner =
      graph({.nodes = {node("Mul", {"t", "x"}, {"x2"})}, .outputs = {f32_value("x2")}});
  const Pb then_branch =
      graph({.nodes = {node("If", {"c"}, {"u"}, {graph_attribute("then_branch", inner)}),
                       node("Add", {"late", "w"}, {"t"})},
             .initializers = {f32_tensor("w", {1}, {9})},
             .outputs = {f32_value("u")}});
  const Pb else_branch = graph({.outputs = {f32_value("x")}});
  const Pb file = simple({node("If", {"c"}, {"y"},
                               {graph_attribute("then_branch", then_branch),
                                graph_attribute("else_branch", else_branch)}),
                          node("Relu", {"x"}, {"late"}), node("Foo", {"w"}, {"c"})},
                         {f32_tensor("w", {1}, {1})});
  EXPECT_EQ(imported(file), R"(graph g(%x: f32[2]) {
  %w = constant f32[1] [1]
  %late = Relu@17(%x) as Relu_late
  %c = Foo@17(%w) as Foo_c
  %y: f32[2] = If@17(%c) {else_branch = graph g() {
    return %x
  }, then_branch = graph g() {
    %w#5 = constant f32[1] [9]
    %t = Add@17(%late, %w#5) as Add_t
    %u: f32[2] = If@17(%c) {then_branch = graph g() {
      %x2: f32[2] = Mul@17(%t, %x) as Mul_x2
      return %x2
    }} as If_u
    return %u
  }} as If_y
  return %y
}
)");
}

TEST(ImportTest, OperatorSets) {
  const Pb body = graph({.nodes = {named_node("a", "ai.onnx", node("Relu", {"x"}, {"b"})),
                                   named_node("b", "com.microsoft", node("Gelu", {"b"}, {"c"})),
                                   named_node("c", "custom", node("Foo", {"c"}, {"y"}))},
                         .inputs = {f32_value("x")},
                         .outputs = {f32_value("y")}});
  const Pb file = Pb().varint(1, 8)
                      .message(8, opset("ai.onnx", 13))
                      .message(8, opset("custom", 4))
                      .message(7, body);
  EXPECT_EQ(imported(file), R"(graph g(%x: f32[2]) {
  %b = Relu@13(%x) as a
  %c = com.microsoft.Gelu@1(%b) as b
  %y: f32[2] = custom.Foo@4(%c) as c
  return %y
}
)");
  // Before IR 3 there was one version; later a model must say it.
  EXPECT_THAT(imported(Pb().varint(1, 2).message(7, body)), HasSubstr("Relu@1("));
  EXPECT_THAT(imported(Pb().varint(1, 3).message(7, body)), HasSubstr("imports no version"));
  EXPECT_THAT(imported(Pb(file).message(8, opset("", 0))), HasSubstr("operator set version 0"));
}

TEST(ImportTest, WrongGraphs) {
  EXPECT_EQ(imported(simple({node("Add", {"x", "nope"}, {"y"})})),
            "error: node of 'y' (Add): input 1 'nope' is not defined");
  EXPECT_EQ(imported(simple({named_node("n", "d", node("Add", {"x"}, {"x"}))})),
            "error: node 'n' (d.Add): value 'x' is defined twice");
  EXPECT_EQ(imported(simple({node("A", {"x"}, {"y"}), node("B", {"x"}, {"y"})})),
            "error: node of 'y' (B): value 'y' is defined twice");
  EXPECT_THAT(imported(simple({node("A", {"x"}, {"y", "y"})})), HasSubstr("defined twice"));
  EXPECT_EQ(imported(simple({node("A", {"x"}, {"z"})})),
            "error: graph 'g': output 'y' is not defined");
  EXPECT_EQ(
      imported(simple({node("A", {"b"}, {"a"}), node("A", {"a"}, {"b"}), node("B", {"a"}, {"y"})})),
      "error: node 'A_a' (A) depends on its own output");
  EXPECT_EQ(imported(simple({Pb().bytes(1, "x").bytes(2, "y")})),
            "error: node of 'y' (): has no operator");
  const Pb w = f32_tensor("w", {1}, {1});
  EXPECT_EQ(imported(simple({node("A", {"w"}, {"y"})}, {w, w})),
            "error: value 'w' is defined twice");
  EXPECT_EQ(imported(simple({}, {f32_tensor("", {1}, {1})})), "error: an initializer has no name");
  EXPECT_THAT(imported(model(graph({.inputs = {f32_value("x"), f32_value("x")}}))),
              HasSubstr("input 'x' is defined twice"));
  EXPECT_THAT(imported(model(graph({.inputs = {f32_value("")}}))), HasSubstr("has no name"));
  // Values of a body can't be seen outside.
  const Pb branch =
      graph({.nodes = {node("A", {"x"}, {"inner"})}, .outputs = {f32_value("inner")}});
  EXPECT_THAT(imported(simple({node("If", {"x"}, {"z"}, {graph_attribute("g", branch)}),
                               node("B", {"inner"}, {"y"})})),
              HasSubstr("'inner' is not defined"));
}

TEST(ImportTest, NoModel) {
  EXPECT_EQ(imported(Pb()), "error: not an ONNX model: it has no graph");
  EXPECT_EQ(imported(Pb().message(7, Pb())), "error: not an ONNX model: it has no ir_version");
  EXPECT_THAT(imported(Pb().append("<!DOCTYPE html>")), HasSubstr("(at byte"));
  EXPECT_EQ(imported(Pb().varint(1, 8).message(7, Pb()).message(7, Pb())),
            "error: the model has two graphs");
  EXPECT_EQ(imported(Pb().varint(1, 8).message(7, Pb())), "graph () {\n  return\n}\n");
  EXPECT_THAT(imported(Pb().varint(1, 8).message(7, Pb().bytes(1, "\x0a"))),
              HasSubstr("malformed protobuf field"));
}

TEST(ImportTest, MemoryHasALimit) {
  const FileOptions options{.import = {.memory_limit = 100'000}};
  std::vector<Pb> nodes;
  for (int i = 0; i < 1000; ++i) nodes.push_back(node("A", {}, {cat("v", i)}));
  EXPECT_EQ(code_of(simple(nodes), options), ErrorCode::kLimit);
  EXPECT_EQ(code_of(simple({node("A", {}, {"y"},
                                 {Pb().bytes(1, "i").packed(8, std::vector<int64_t>(20'000))})}),
                    options),
            ErrorCode::kLimit);
  EXPECT_EQ(code_of(simple({}, {f32_tensor("w", {30'000}, std::vector<float>(30'000))}),
                    {.scan = {.payload_threshold = 1 << 20}, .import = options.import}),
            ErrorCode::kLimit);
  Pb main = graph({});
  main.message(15, Pb().message(1, f32_tensor("s", {0}, {}))
                       .message(2, tensor("", kI64, {0}))
                       .varint(3, 1'000'000));
  EXPECT_EQ(code_of(model(main), options), ErrorCode::kLimit);
}

}  // namespace
}  // namespace quern
