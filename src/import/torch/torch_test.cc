// What torch.export's operators mean, on small programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/convert/importer.h"
#include "import/torch/program_testing.h"
#include "import/zip/zip_writer.h"

namespace quern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(Torch, PromotesTypes) {
  const auto of = [](Ty x, std::vector<Arg> arguments, Ty y, std::string target) {
    arguments.insert(arguments.begin(), Arg::tensor("self", "x"));
    return Program()
        .input("x", x)
        .node(std::move(target), arguments, "y", y)
        .output("y")
        .run({{1, -2}});
  };
  EXPECT_EQ(of({"i64[2]"}, {Arg::number("other", 0.5)}, {"f32[2]"}, "add.Tensor"),
            "f32[2] 1.5 -1.5");
  EXPECT_EQ(of({"i32[2]"}, {Arg::integer("other", 3)}, {"i32[2]"}, "mul.Tensor"), "i32[2] 3 -6");
  EXPECT_EQ(of({"i64[2]"}, {Arg::integer("other", 2)}, {"f32[2]"}, "div.Tensor"), "f32[2] 0.5 -1");
  EXPECT_EQ(of({"f16[2]"}, {Arg::number("other", 2)}, {"f16[2]"}, "add.Tensor"), "f16[2] 3 0");
  EXPECT_EQ(of({"i64[2]"}, {Arg::integer("other", 3)}, {"i64[2]"}, "floor_divide.default"),
            "i64[2] 0 -1");
  EXPECT_EQ(of({"i64[2]"}, {Arg::integer("other", 3)}, {"i64[2]"}, "remainder.Scalar"),
            "i64[2] 1 1");
  EXPECT_EQ(of({"bool[2]"}, {Arg::integer("other", 1)}, {"i64[2]"}, "add.Tensor"), "i64[2] 2 2");
  EXPECT_EQ(of({"i64[2]"}, {Arg::number("other", 0.5)}, {"bool[2]"}, "gt.Scalar"), "bool[2] 1 0");
}

TEST(Torch, ZeroDimTensorsDoNotPromoteWithinTheirKind) {
  const Program program =
      Program()
          .input("x", {"f16[2]"})
          .input("s", {"f32[]"})
          .node("mul.Tensor", {Arg::tensor("self", "x"), Arg::tensor("other", "s")}, "y",
                {"f16[2]"})
          .output("y");
  EXPECT_EQ(program.run({{1, 2}, {3}}), "f16[2] 3 6");
}

TEST(Torch, AddTakesAlpha) {
  EXPECT_EQ(
      Program()
          .input("x", {"f32[2]"})
          .node("sub.Tensor",
                {Arg::tensor("self", "x"), Arg::tensor("other", "x"), Arg::integer("alpha", 3)},
                "y", {"f32[2]"})
          .output("y")
          .run({{1, 2}}),
      "f32[2] -2 -4");
}

TEST(Torch, ChangesInPlaceShowInEveryView) {
  // y = clone(x); row = y[0]; row += 10; y is given out, and so is a view made before.
  EXPECT_EQ(Program()
                .input("x", {"f32[2, 2]"})
                .node("clone.default", {Arg::tensor("self", "x")}, "y", {"f32[2, 2]"})
                .node("t.default", {Arg::tensor("self", "y")}, "turned", {"f32[2, 2]"})
                .node("select.int",
                      {Arg::tensor("self", "y"), Arg::integer("dim", 0), Arg::integer("index", -1)},
                      "row", {"f32[2]"})
                .node("add_.Tensor", {Arg::tensor("self", "row"), Arg::integer("other", 10)}, "sum",
                      {"f32[2]"})
                .output("y")
                .output("turned")
                .output("sum")
                .run({{1, 2, 3, 4}}),
            "f32[2, 2] 1 2 13 14; f32[2, 2] 1 13 2 14; f32[2] 13 14");
}

TEST(Torch, WritesThroughSlices) {
  const auto through = [](int64_t start, int64_t end, int64_t step, Ty part) {
    return Program()
        .input("x", {"f32[5]"})
        .node("clone.default", {Arg::tensor("self", "x")}, "y", {"f32[5]"})
        .node("slice.Tensor",
              {Arg::tensor("self", "y"), Arg::integer("dim", 0), Arg::integer("start", start),
               Arg::integer("end", end), Arg::integer("step", step)},
              "part", part)
        .node("zero_.default", {Arg::tensor("self", "part")}, "zero", part)
        .output("y")
        .run({{1, 2, 3, 4, 5}});
  };
  EXPECT_EQ(through(1, 3, 1, {"f32[2]"}), "f32[5] 1 0 0 4 5");
  EXPECT_EQ(through(-2, INT64_MAX, 1, {"f32[2]"}), "f32[5] 1 2 3 0 0");
  EXPECT_EQ(through(0, 5, 2, {"f32[3]"}), "f32[5] 0 2 0 4 0");
}

TEST(Torch, InputsThatChangeAreOutputs) {
  EXPECT_EQ(Program()
                .input("x", {"f32[2]"})
                .node("relu_.default", {Arg::tensor("self", "x")}, "y", {"f32[2]"})
                .output("y")
                .run({{-1, 2}}),
            "f32[2] 0 2; f32[2] 0 2");
}

TEST(Torch, BuffersThatChangeAreInputsWithDefaults) {
  const Program program =
      Program()
          .input("x", {"f32[2]"})
          .buffer("cache", {"f32[2]"}, {5, 6})
          .node("add.Tensor", {Arg::tensor("self", "cache"), Arg::tensor("other", "x")}, "sum",
                {"f32[2]"})
          .node("copy_.default", {Arg::tensor("self", "cache"), Arg::tensor("src", "sum")},
                "copied", {"f32[2]"})
          .output("sum");
  EXPECT_EQ(program.run({{1, 1}}), "f32[2] 6 7; f32[2] 6 7");
  EXPECT_EQ(program.run({{1, 1}, {0, 10}}), "f32[2] 1 11; f32[2] 1 11");
  const auto model = import_bytes(program.archive());
  ASSERT_TRUE(model);
  EXPECT_EQ(model->graph->outputs[1]->name, "cache_out");
  EXPECT_TRUE(model->inputs[1].has_default);
}

TEST(Torch, WeightsByTheirStrides) {
  const auto weight = [](Ty type, std::vector<int64_t> strides, int64_t offset) {
    return Program()
        .input("x", {"f32[]"})
        .weight("w", type, {1, 2, 3, 4, 5, 6}, std::move(strides), offset)
        .node("add.Tensor", {Arg::tensor("self", "w"), Arg::tensor("other", "x")}, "y", type)
        .output("y")
        .run({{0}});
  };
  EXPECT_EQ(weight({"f32[2, 3]"}, {3, 1}, 0), "f32[2, 3] 1 2 3 4 5 6");
  EXPECT_EQ(weight({"f32[3, 2]"}, {1, 3}, 0), "f32[3, 2] 1 4 2 5 3 6");
  EXPECT_EQ(weight({"f32[2, 2]"}, {0, 1}, 4), "f32[2, 2] 5 6 5 6");
  EXPECT_EQ(weight({"f32[2, 2]"}, {3, 1}, 1), "f32[2, 2] 2 3 5 6");
  EXPECT_EQ(weight({"f32[0, 2]"}, {2, 1}, 0), "f32[0, 2]");
  EXPECT_THAT(weight({"f32[2, 3]"}, {3, 1}, 1), HasSubstr("tensor 'w': it needs 7 elements"));
  EXPECT_THAT(weight({"f32[2, 3]"}, {INT64_MAX, 1}, 1), HasSubstr("strides that overflow"));
  EXPECT_THAT(weight({"f32[2, 3]"}, {-1, 1}, 1), HasSubstr("negative or symbolic strides"));
}

TEST(Torch, ConcatLeavesOutNothings) {
  EXPECT_EQ(Program()
                .input("x", {"f32[1, 2]"})
                .weight("none", {"f32[0]"}, {})
                .node("cat.default",
                      {Arg::tensors("tensors", {"none", "x", "x"}), Arg::integer("dim", -2)}, "y",
                      {"f32[2, 2]"})
                .output("y")
                .run({{1, 2}}),
            "f32[2, 2] 1 2 1 2");
}

TEST(Torch, IndexesWithHolesAndMasks) {
  const auto index = [](std::vector<std::string> indices, Ty result) {
    return Program()
        .input("x", {"f32[2, 3]"})
        .input("i", {"i64[2]"})
        .input("m", {"bool[3]"})
        .node("index.Tensor",
              {Arg::tensor("self", "x"), Arg::optional_tensors("indices", std::move(indices))}, "y",
              result)
        .output("y")
        .run({{1, 2, 3, 4, 5, 6}, {1, -2}, {1, 0, 1}});
  };
  EXPECT_EQ(index({"i"}, {"f32[2, 3]"}), "f32[2, 3] 4 5 6 1 2 3");
  EXPECT_EQ(index({"", "i"}, {"f32[2, 2]"}), "f32[2, 2] 2 2 5 5");
  EXPECT_EQ(index({"i", "i"}, {"f32[2]"}), "f32[2] 5 2");
  EXPECT_EQ(index({"", "m"}, {"f32[2, u0]"}), "f32[2, 2] 1 3 4 6");
}

TEST(Torch, PutsByIndex) {
  EXPECT_EQ(Program()
                .input("x", {"f32[2, 3]"})
                .input("i", {"i64[2]"})
                .input("v", {"f32[]"})
                .node("index_put.default",
                      {Arg::tensor("self", "x"), Arg::optional_tensors("indices", {"", "i"}),
                       Arg::tensor("values", "v"), Arg::flag("accumulate", true)},
                      "y", {"f32[2, 3]"})
                .output("y")
                .run({{1, 2, 3, 4, 5, 6}, {0, 0}, {10}}),
            "f32[2, 3] 21 2 3 24 5 6");
}

TEST(Torch, SymbolsAndTheirArithmetic) {
  const Program program =
      Program()
          .bounds("s0", 2, 10)
          .input("x", {"f32[s0, 2]"})
          .size_node("sym_size.int", {Arg::tensor("self", "x"), Arg::integer("dim", 0)}, "n")
          .size_node("._operator.mul", {Arg::sym("a", "n"), Arg::integer("b", 2)}, "m")
          .node("view.default", {Arg::tensor("self", "x"), Arg::sym_ints("size", {"m", "1"})}, "y",
                {"f32[s1, 1]"})
          .node("arange.start_step",
                {Arg::integer("start", 1), Arg::sym("end", "n"), Arg::integer("step", 1)}, "r",
                {"i64[s2]"})
          .output("y")
          .output("r");
  EXPECT_EQ(program.run({{1, 2, 3, 4}}, {{2, 2}}), "f32[4, 1] 1 2 3 4; i64[1] 1");
  EXPECT_EQ(program.run({{1, 2, 3, 4, 5, 6}}, {{3, 2}}), "f32[6, 1] 1 2 3 4 5 6; i64[2] 1 2");
  EXPECT_EQ(program.run({{}}, {{11, 2}}), "error: input 'x': dim 0, 's0', is 11, expected 0 to 10");
}

TEST(Torch, PoolsAsPyTorchDoes) {
  EXPECT_EQ(
      Program()
          .input("x", {"f32[1, 1, 5]"})
          .node("adaptive_avg_pool1d.default",
                {Arg::tensor("self", "x"), Arg::ints("output_size", {3})}, "y", {"f32[1, 1, 3]"})
          .output("y")
          .run({{1, 2, 3, 4, 5}}),
      "f32[1, 1, 3] 1.5 3 4.5");
  EXPECT_EQ(Program()
                .input("x", {"f32[1, 1, 2, 2]"})
                .nodes("max_pool2d_with_indices.default",
                       {Arg::tensor("self", "x"), Arg::ints("kernel_size", {2})},
                       {{"y", {"f32[1, 1, 1, 1]"}}, {"i", {"i64[1, 1, 1, 1]"}}})
                .output("y")
                .output("i")
                .run({{1, 2, 4, 3}}),
            "f32[1, 1, 1, 1] 4; i64[1, 1, 1, 1] 2");
}

TEST(Torch, MovesElements) {
  const auto one = [](std::string target, std::vector<Arg> arguments, Ty type) {
    arguments.insert(arguments.begin(), Arg::tensor("self", "x"));
    return Program()
        .input("x", {"f32[2, 3]"})
        .node(std::move(target), arguments, "y", type)
        .output("y")
        .run({{1, 2, 3, 4, 5, 6}});
  };
  EXPECT_EQ(one("roll.default", {Arg::ints("shifts", {1}), Arg::ints("dims", {1})}, {"f32[2, 3]"}),
            "f32[2, 3] 3 1 2 6 4 5");
  EXPECT_EQ(
      one("roll.default", {Arg::ints("shifts", {-1, 1}), Arg::ints("dims", {0, 1})}, {"f32[2, 3]"}),
      "f32[2, 3] 6 4 5 3 1 2");
  EXPECT_EQ(one("flip.default", {Arg::ints("dims", {0, -1})}, {"f32[2, 3]"}),
            "f32[2, 3] 6 5 4 3 2 1");
  EXPECT_EQ(one("constant_pad_nd.default", {Arg::ints("pad", {1, 0}), Arg::integer("value", 9)},
                {"f32[2, 4]"}),
            "f32[2, 4] 9 1 2 3 9 4 5 6");
  EXPECT_EQ(one("diagonal.default", {Arg::integer("offset", 1)}, {"f32[2]"}), "f32[2] 2 6");
  EXPECT_EQ(one("unfold.default",
                {Arg::integer("dimension", 1), Arg::integer("size", 2), Arg::integer("step", 1)},
                {"f32[2, 2, 2]"}),
            "f32[2, 2, 2] 1 2 2 3 4 5 5 6");
  EXPECT_EQ(one("repeat_interleave.self_int", {Arg::integer("repeats", 2), Arg::integer("dim", 0)},
                {"f32[4, 3]"}),
            "f32[4, 3] 1 2 3 1 2 3 4 5 6 4 5 6");
  EXPECT_EQ(
      one("var.correction", {Arg::ints("dim", {1}), Arg::integer("correction", 1)}, {"f32[2]"}),
      "f32[2] 1 1");
  EXPECT_EQ(one("as_strided.default", {Arg::ints("size", {2, 2}), Arg::ints("stride", {1, 2})},
                {"f32[2, 2]"}),
            "f32[2, 2] 1 3 2 4");
}

TEST(Torch, SplitsAndStates) {
  EXPECT_EQ(Program()
                .input("x", {"f32[5]"})
                .nodes("chunk.default", {Arg::tensor("self", "x"), Arg::integer("chunks", 2)},
                       {{"a", {"f32[3]"}}, {"b", {"f32[2]"}}})
                .output("a")
                .output("b")
                .output("a")
                .run({{1, 2, 3, 4, 5}}),
            "f32[3] 1 2 3; f32[2] 4 5; f32[3] 1 2 3");
}

TEST(Torch, NestedGraphsOfNoGradAreInlined) {
  const Json inner = {
      {"inputs", {{{"as_tensor", {{"name", "a"}}}}}},
      {"outputs", {{{"as_tensor", {{"name", "y"}}}}}},
      {"tensor_values", Json::object()},
      {"nodes",
       {{{"target", "torch.ops.aten.relu.default"},
         {"inputs", {{{"name", "self"}, {"arg", {{"as_tensor", {{"name", "a"}}}}}}}},
         {"outputs", {{{"as_tensor", {{"name", "y"}}}}}}}}}};
  const Arg graph = {"", {{"as_graph", {{"name", "submod_1"}, {"graph", inner}}}}};
  EXPECT_EQ(Program()
                .input("x", {"f32[2]"})
                .node("neg.default", {Arg::tensor("self", "x")}, "y", {"f32[2]"})
                .node(".torch.ops.higher_order.wrap_with_set_grad_enabled",
                      {Arg::flag("", false), graph, Arg::tensor("", "x")}, "z", {"f32[2]"})
                .output("y")
                .output("z")
                .run({{-1, 2}}),
            "f32[2] 1 -2; f32[2] 0 2");
}

TEST(Torch, UnknownOperatorsAreListedAtOnce) {
  EXPECT_EQ(Program()
                .input("x", {"f32[2]"})
                .node("foo.default", {Arg::tensor("self", "x")}, "a", {"f32[2]"})
                .node("add.Nothing", {Arg::tensor("self", "a")}, "b", {"f32[2]"})
                .node("foo.default", {Arg::tensor("self", "b")}, "c", {"f32[2]"})
                .output("c")
                .imported(),
            "error: unsupported operators: aten.add.Nothing at node 'b'; aten.foo.default at node "
            "'a' and 1 more");
}

TEST(Torch, ErrorsNameTheNode) {
  const auto relu = [](std::vector<Arg> arguments) {
    return Program()
        .input("x", {"f32[2]"})
        .node("softmax.int", std::move(arguments), "y", {"f32[2]"})
        .output("y")
        .imported();
  };
  EXPECT_EQ(relu({Arg::tensor("self", "z"), Arg::integer("dim", 0)}),
            "error: node 'y' (aten.softmax.int): there is no tensor 'z' before it");
  EXPECT_EQ(relu({Arg::integer("self", 1), Arg::integer("dim", 0)}),
            "error: node 'y' (aten.softmax.int): argument 'self' is as_int, expected a tensor");
  EXPECT_EQ(relu({Arg::tensor("self", "x"), Arg::integer("dim", 1)}),
            "error: node 'y' (aten.softmax.int): axis 1 of a tensor of rank 1");
  EXPECT_EQ(relu({Arg::tensor("self", "x")}),
            "error: node 'y' (aten.softmax.int): argument 'dim' is missing, expected an integer");
}

std::string error_of(const ZipWriter& zip) {
  const auto model = import_bytes(zip.finish());
  return model ? "none" : model.error().message;
}

TEST(Torch, SaysWhatToExport) {
  EXPECT_THAT(error_of(ZipWriter().add("archive/data.pkl", "x").add("archive/data/0", "x")),
              HasSubstr("program = torch.export.export(model, (example_input,))"));
  EXPECT_THAT(error_of(ZipWriter().add("m/data.pkl", "x").add("m/code/__torch__.py", "x")),
              StartsWith("a TorchScript file"));
  EXPECT_THAT(error_of(ZipWriter().add("serialized_exported_program.json", "{}")),
              HasSubstr("no exported program"));
  EXPECT_THAT(error_of(ZipWriter().add("a.txt", "x")), HasSubstr("no model of a known format"));
  EXPECT_THAT(error_of(ZipWriter().add("m/models/model.json", "{")), HasSubstr("broken JSON"));
  EXPECT_THAT(error_of(ZipWriter().add("m/models/model.json", "[1]")),
              HasSubstr("no exported program"));
  const std::vector<uint8_t> pickle = {0x80, 0x02, 0x8a, 0x0a};
  EXPECT_THAT(import_bytes(pickle).error().message, HasSubstr("torch.export.save"));
}

TEST(Torch, MutantsOfAnArchiveGiveErrors) {
  const std::vector<uint8_t> file =
      Program()
          .bounds("s0", 2, 9)
          .input("x", {"f32[s0, 2]"})
          .weight("w", {"f32[2, 2]"}, {1, 2, 3, 4}, {1, 2})
          .node("linear.default", {Arg::tensor("input", "x"), Arg::tensor("weight", "w")}, "y",
                {"f32[s0, 2]"})
          .output("y")
          .archive();
  ConvertOptions options;
  options.memory_limit = 1 << 20;
  for (size_t at = 0; at < file.size(); ++at) {
    std::vector<uint8_t> mutant = file;
    mutant[at] = static_cast<uint8_t>(mutant[at] * 31 + 7 + at);
    const auto answered = import_bytes(mutant, options);
    EXPECT_TRUE(answered || !answered.error().message.empty());
  }
}

}  // namespace
}  // namespace quern::testing
