// SavedModels: how variables find their tensors, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "import/saved_model/saved_model_testing.h"

namespace quern::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

constexpr int kFloat = 1, kResource = 20;

Pb placeholder(const std::string& name) {
  return tf_node(name, "Placeholder", {}, {tf_type("dtype", kFloat), tf_shape("shape", {-1, 2})});
}

Pb handle(const std::string& name, const std::string& shared,
          const std::vector<int64_t>& dims = {2}) {
  return tf_node(
      name, "VarHandleOp", {},
      {tf_type("dtype", kFloat), tf_shape("shape", dims), tf_text("shared_name", shared)});
}

Pb read(const std::string& name, const std::string& of) {
  return tf_node(name, "ReadVariableOp", {of}, {tf_type("dtype", kFloat)});
}

/// y = x * scale + offset, by a function that captures both.
TfFunction affine() {
  return {"affine",
          {{"x", kFloat}, {"scale", kResource}, {"offset", kResource}},
          {{"y", "add:z:0"}},
          {read("scale/read", "scale"), read("offset/read", "offset"),
           tf_node("mul", "Mul", {"x", "scale/read:value:0"}),
           tf_node("add", "AddV2", {"mul:z:0", "offset/read:value:0"})}};
}

/// The nodes of a graph that calls it.
std::vector<Pb> affine_nodes() {
  return {placeholder("serving_default_x"), handle("scale", "s"), handle("offset", "o"),
          tf_node("call", "StatefulPartitionedCall", {"serving_default_x", "scale", "offset"},
                  {tf_function("f", "affine")})};
}

const std::vector<TfSignature> kServing = {
    {"__saved_model_init_op", {}, {{"__saved_model_init_op", "NoOp"}}},
    {"serving_default", {{"x", "serving_default_x:0"}}, {{"y", "call:0"}}},
    {"other", {{"x", "serving_default_x:0"}}, {{"z", "nothing:0"}}}};

/// What restores the variables, as tf.saved_model.save writes it: a function of their handles.
TfFunction restore(const std::vector<std::string>& keys) {
  return {"restore",
          {{"file", 7}, {"a", kResource}, {"b", kResource}},
          {{"done", "Identity_2:output:0"}},
          {tf_node("names", "Const", {}, {tf_type("dtype", 7), tf_texts(keys)}),
           tf_node("slices", "Const", {}, {tf_type("dtype", 7), tf_texts({"", ""})}),
           tf_node("RestoreV2", "RestoreV2", {"file", "names:output:0", "slices:output:0"}),
           tf_node("Identity", "Identity", {"RestoreV2:tensors:0"}),
           tf_node("Identity_1", "Identity", {"RestoreV2:tensors:1"}),
           tf_node("assign", "AssignVariableOp", {"a", "Identity:output:0"}),
           tf_node("assign_1", "AssignVariableOp", {"b", "Identity_1:output:0"}),
           tf_node("Identity_2", "Identity", {"file", "^assign", "^assign_1"})}};
}

CheckpointWriter checkpoint(const std::string& scale, const std::string& offset,
                            size_t shards = 1) {
  CheckpointWriter out(shards);
  out.floats(scale, {2}, {2, 3}).floats(offset, {2}, {10, 20}).floats("unused", {1}, {0});
  return out;
}

Files with(Files files, std::string model) {
  files["saved_model.pb"] = std::move(model);
  return files;
}

/// As in both kinds of object graph: the children of an object.
Pb object(const std::vector<std::pair<std::string, int>>& children) {
  Pb out;
  for (const auto& [name, id] : children) out.message(1, Pb().varint(1, id).bytes(2, name));
  return out;
}
Pb variable(const std::string& name) { return Pb().message(7, Pb().bytes(6, name)); }
Pb stored(const std::string& key) {
  return Pb().message(2, Pb().bytes(1, "VARIABLE_VALUE").bytes(3, key));
}

TEST(SavedModel, VariablesAreWhatRestoresThem) {
  // The main graph passes the handles in another order than the function's.
  std::vector<Pb> nodes = affine_nodes();
  nodes.push_back(tf_node("saver", "Placeholder", {}, {tf_type("dtype", 7)}));
  nodes.push_back(tf_node("restore", "StatefulPartitionedCall", {"saver", "offset", "scale"},
                          {tf_function("f", "restore")}));
  const auto graph = tf_graph(nodes, {affine(), restore({"k/1", "k/0"})});
  for (const size_t shards : {1, 3}) {
    const Files files =
        with(checkpoint("k/0", "k/1", shards).files(), saved_model(graph, kServing));
    EXPECT_EQ(run_folder(files, {{1, 1, 2, 2}}, {{2, 2}}), "f32[2, 2] 12 23 14 26");
  }
}

TEST(SavedModel, VariablesAreThoseOfTheObjectsThatFunctionsCapture) {
  // Both variables have one name: only the object graphs tell them apart.
  const Pb saved = Pb().message(1, object({{"layer", 1}, {"other", 3}}))
                       .message(1, object({{"b", 2}}))
                       .message(1, variable("v"))
                       .message(1, object({{"a", 4}}))
                       .message(1, variable("v"))
                       .message(2, Pb().bytes(1, "affine").message(2, Pb().packed(2, {4, 2})));
  const Pb objects = Pb().message(1, object({{"other", 1}, {"layer", 2}}))
                         .message(1, object({{"a", 3}}))
                         .message(1, object({{"b", 4}}))
                         .message(1, stored("key of a"))
                         .message(1, stored("key of b"));
  CheckpointWriter tensors = checkpoint("key of a", "key of b");
  tensors.text("_CHECKPOINTABLE_OBJECT_GRAPH", objects.data());
  const std::string model = saved_model(tf_graph(affine_nodes(), {affine()}), kServing, saved);
  EXPECT_EQ(run_folder(with(tensors.files(), model), {{1, 1}}, {{1, 2}}), "f32[1, 2] 12 23");
}

TEST(SavedModel, VariablesAreThoseOfTheirNames) {
  const auto graph = tf_graph(affine_nodes(), {affine()});
  const std::string model = saved_model(graph, kServing);
  EXPECT_EQ(run_folder(with(checkpoint("s", "o/.ATTRIBUTES/VARIABLE_VALUE").files(), model),
                       {{1, 1}}, {{1, 2}}),
            "f32[1, 2] 12 23");
  EXPECT_THAT(run_folder(with(checkpoint("s", "p").files(), model), {{1, 1}}, {{1, 2}}),
              HasSubstr("node 'offset' (Const): the checkpoint has no tensor 'o'"));
}

TEST(SavedModel, OfTensorFlow1) {
  // References, restored by names; the tensor of "w" is called otherwise in the checkpoint.
  const std::vector<Pb> nodes = {
      placeholder("x"),
      tf_node("w", "VariableV2", {}, {tf_type("dtype", 101), tf_shape("shape", {2})}),
      tf_node("w/read", "Identity", {"w"}),
      tf_node("y", "Mul", {"x", "w/read"}),
      tf_node("save/Const", "Const", {}, {tf_type("dtype", 7), tf_texts({"model"})}),
      tf_node("save/names", "Const", {}, {tf_type("dtype", 7), tf_texts({"unused", "weights"})}),
      tf_node("save/RestoreV2", "RestoreV2", {"save/Const", "save/names", "save/slices"}),
      tf_node("save/Assign", "Assign", {"w", "save/RestoreV2:1"})};
  const std::string model =
      saved_model(tf_graph(nodes), {{"predict", {{"images", "x:0"}}, {{"scores", "y:0"}}}});
  CheckpointWriter tensors = checkpoint("weights", "w");
  EXPECT_EQ(run_folder(with(tensors.files(), model), {{1, 1}}, {{1, 2}}), "f32[1, 2] 2 3");
  const auto imported = import_files(with(tensors.files(), model));
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->graph->inputs[0]->name, "images");
  EXPECT_EQ(imported->graph->outputs[0]->name, "scores");
  EXPECT_EQ(imported->metadata.at("quern.signature predict"), "(images) -> (scores)");
}

TEST(SavedModel, VariablesThatLoopsCaptureAreNoVariablesOfTheirs) {
  // while (i < 3) { i += 1; x *= w; }, as functions of i, x and w.
  constexpr int kInt = 3;
  const std::vector<std::pair<std::string, int>> arguments = {
      {"i", kInt}, {"x", kFloat}, {"w", kResource}};
  const auto number = [](const std::string& name, int value) {
    return tf_node(name, "Const", {}, {tf_type("dtype", kInt), tf_number(value)});
  };
  const TfFunction cond = {"cond",
                           arguments,
                           {{"r", "less:z:0"}},
                           {number("three", 3), tf_node("less", "Less", {"i", "three:output:0"})}};
  const TfFunction body = {"body",
                           arguments,
                           {{"i2", "add:z:0"}, {"x2", "mul:z:0"}, {"w2", "w"}},
                           {number("one", 1), tf_node("add", "AddV2", {"i", "one:output:0"}),
                            read("w/read", "w"), tf_node("mul", "Mul", {"x", "w/read:value:0"})}};
  const auto graph = tf_graph({placeholder("x"), handle("w", "s"), number("zero", 0),
                               tf_node("loop", "While", {"zero", "x", "w"},
                                       {tf_function("cond", "cond"), tf_function("body", "body")}),
                               tf_node("y", "Identity", {"loop:1"})},
                              {cond, body});
  const std::string model = saved_model(graph, {{"f", {{"x", "x:0"}}, {{"y", "y:0"}}}});
  const Files files = with(checkpoint("s", "o").files(), model);
  EXPECT_EQ(run_folder(files, {{1, 1}}, {{1, 2}}), "f32[1, 2] 8 27");
  const auto imported = import_files(files);
  ASSERT_TRUE(imported) << imported.error().message;
  for_each_node(*imported->graph, [](Node& node) {
    // A limit of iterations, a condition, i and x.
    if (node.op == "Loop") EXPECT_EQ(node.inputs.size(), 4U);
  });
}

TEST(SavedModel, LargeVariablesStayInTheirShards) {
  CheckpointWriter tensors(2);
  tensors.floats("a", {3}, {1, 2, 3}).floats("o", {2}, {1, 1}).floats("s", {2}, {2, 3});
  const Files files =
      with(tensors.files(), saved_model(tf_graph(affine_nodes(), {affine()}), kServing));
  const auto model = import_files(files, 4);
  ASSERT_TRUE(model) << model.error().message;
  std::vector<std::string> places;
  for (const WeightInfo& weight : model->weights) {
    places.push_back(
        cat(weight.name, " ", weight.file, " ", weight.file_offset, " ", weight.byte_length));
  }
  EXPECT_THAT(places, UnorderedElementsAre("s variables/variables.data-00000-of-00002 12 8",
                                           "o variables/variables.data-00001-of-00002 0 8"));
}

TEST(SavedModel, WithoutVariablesNeedsNoCheckpoint) {
  const auto graph = tf_graph({placeholder("x"), tf_node("y", "Neg", {"x"})});
  const Files files = {
      {"saved_model.pb", saved_model(graph, {{"f", {{"x", "x:0"}}, {{"y", "y:0"}}}})}};
  EXPECT_EQ(run_folder(files, {{1, 2}}, {{1, 2}}), "f32[1, 2] -1 -2");
}

TEST(SavedModel, TakesTheDefaultSignatureOfModules) {
  const auto graph = tf_graph({placeholder("x"), tf_node("y", "Neg", {"x"})});
  const std::string model = saved_model(
      graph, {{"a", {{"x", "x:0"}}, {{"a", "y:0"}}}, {"default", {{"x", "x:0"}}, {{"y", "y:0"}}}});
  const auto imported = import_files({{"saved_model.pb", model}});
  ASSERT_TRUE(imported) << imported.error().message;
  EXPECT_EQ(imported->graph->outputs[0]->name, "y");
}

TEST(SavedModel, BatchNormalisationHasTensorFlowsDefaults) {
  // What is a default is left out: epsilon is 1e-4.
  const auto number = [](const std::string& name) {
    const float value = name == "variance" ? 0.0001f : 1.f;
    const Pb tensor = Pb().varint(1, 1).message(2, Pb().message(2, Pb().varint(1, 1)));
    const Pb filled = Pb(tensor).packed_fixed<float>(5, {value});
    return tf_node(name, "Const", {},
                   {tf_type("dtype", kFloat), {"value", Pb().message(8, filled)}});
  };
  const std::vector<Pb> nodes = {
      tf_node("x", "Placeholder", {}, {tf_type("dtype", kFloat), tf_shape("shape", {1, 1, 1, 1})}),
      number("scale"),
      number("offset"),
      number("mean"),
      number("variance"),
      tf_node("y", "FusedBatchNormV3", {"x", "scale", "offset", "mean", "variance"},
              {{"is_training", Pb().varint(5, 0)}})};
  const Files files = {
      {"saved_model.pb", saved_model(tf_graph(nodes), {{"f", {{"x", "x:0"}}, {{"y", "y:0"}}}})}};
  // (x - 1) / sqrt(2e-4) + 1 = 1 / 0.0141421 + 1.
  EXPECT_THAT(run_folder(files, {{2}}), HasSubstr("f32[1, 1, 1, 1] 71.71"));
}

TEST(SavedModel, OperatorsThatTensorFlowJsLacks) {
  const auto run = [](const Pb& last, std::vector<Pb> more, const std::vector<double>& x) {
    std::vector<Pb> nodes = {
        tf_node("x", "Placeholder", {}, {tf_type("dtype", 3), tf_shape("shape", {4})})};
    nodes.insert(nodes.end(), more.begin(), more.end());
    nodes.push_back(last);
    return run_folder(
        {{"saved_model.pb", saved_model(tf_graph(nodes), {{"f", {{"x", "x"}}, {{"y", "y"}}}})}},
        {x});
  };
  const auto number = [](const std::string& name, int value) {
    return tf_node(name, "Const", {}, {tf_type("dtype", 3), tf_number(value)});
  };
  const std::vector<Pb> roll = {number("shift", -5), number("axis", 0)};
  EXPECT_EQ(run(tf_node("y", "Roll", {"x", "shift", "axis"}), roll, {1, 2, 3, 4}),
            "i32[4] 2 3 4 1");
  EXPECT_EQ(run(tf_node("y", "InvertPermutation", {"x"}), {}, {2, 0, 3, 1}), "i32[4] 1 3 0 2");
  const std::vector<Pb> rows = {number("axis", -1), tf_node("places", "ExpandDims", {"x", "axis"})};
  EXPECT_EQ(run(tf_node("y", "TensorScatterSub", {"x", "places", "x"}), rows, {3, 0, 1, 2}),
            "i32[4] 3 -1 -1 -1");
}

/// A Case of x whose branches are these, with the functions that a library has.
Pb case_graph(const std::vector<std::string>& branches, int index_type = 3) {
  constexpr int kInt = 3;
  const auto unary = [](const std::string& name, const std::string& op) {
    return TfFunction{name, {{"v", kFloat}}, {{"r", "y:y:0"}}, {tf_node("y", op, {"v"})}};
  };
  TfFunction both = unary("both", "Neg");
  both.results.emplace_back("s", "v");
  TfFunction whole = unary("whole", "Cast");
  whole.nodes = {tf_node("y", "Cast", {"v"}, {tf_type("SrcT", kFloat), tf_type("DstT", kInt)})};
  TfFunction open = unary("open", "Neg");
  open.results = {{"r", "nothing:y:0"}};
  const TfFunction nested = {
      "nested",
      {{"v", kFloat}},
      {{"r", "y:output:0"}},
      {tf_node("i", "Const", {}, {tf_type("dtype", kInt), tf_number(1)}),
       tf_node("y", "StatelessCase", {"i", "v"}, {tf_functions("branches", {"neg", "square"})})}};
  return tf_graph(
      {placeholder("x"), tf_node("i", "Placeholder", {}, {tf_type("dtype", index_type)}),
       tf_node("y", "Case", {"i", "x"}, {tf_functions("branches", branches)})},
      {unary("neg", "Neg"), unary("square", "Square"), unary("odd", "Odd"), both, whole, open,
       nested});
}

const std::vector<TfSignature> kCase = {{"f", {{"x", "x:0"}, {"i", "i:0"}}, {{"y", "y:0"}}}};

TEST(SavedModel, CaseRunsTheBranchOfItsIndexOrTheLast) {
  const auto run = [](const std::vector<std::string>& branches, double index) {
    const Files files = {{"saved_model.pb", saved_model(case_graph(branches), kCase)}};
    return run_folder(files, {{index}, {2, 3}}, {{}, {1, 2}});
  };
  const std::string neg = "f32[1, 2] -2 -3", square = "f32[1, 2] 4 9";
  for (const double index : {-2147483648.0, -1.0, 0.0, 1.0, 7.0}) {
    EXPECT_EQ(run({"neg"}, index), neg) << index;
    EXPECT_EQ(run({"neg", "nested"}, index), index == 0 ? neg : square) << index;
    EXPECT_EQ(run({"square", "neg", "square"}, index), index == 1 ? neg : square) << index;
  }
  // More than graphs may nest: in halves they do not.
  std::vector<std::string> many(100, "neg");
  many[61] = "square";
  EXPECT_EQ(run(many, 61), square);
  EXPECT_EQ(run(many, 60), neg);
  EXPECT_EQ(run(many, 1e9), neg);
}

TEST(SavedModel, CaseOfVeryManyBranchesIsRefused) {
  // A thousand branches of a thousand each, in a file of some kilobytes.
  const TfFunction leaf = {"leaf", {{"i", 3}, {"v", kFloat}}, {{"r", "v"}}, {}};
  const auto thousand = [](const std::string& name, const std::vector<std::string>& inputs,
                           const std::string& function) {
    return tf_node(name, "Case", inputs,
                   {tf_functions("branches", std::vector<std::string>(1000, function))});
  };
  TfFunction inner = leaf;
  inner.name = "inner";
  inner.results = {{"r", "y:output:0"}};
  inner.nodes = {thousand("y", {"i", "i", "v"}, "leaf")};
  const auto graph =
      tf_graph({placeholder("x"), tf_node("i", "Placeholder", {}, {tf_type("dtype", 3)}),
                thousand("y", {"i", "i", "x"}, "inner")},
               {leaf, inner});
  const auto model = import_files({{"saved_model.pb", saved_model(graph, kCase)}});
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::kLimit);
  EXPECT_THAT(model.error().message, HasSubstr("a graph of too many nodes"));
}

TEST(SavedModel, CaseRefusesBranchesThatDiffer) {
  const auto error = [](const std::vector<std::string>& branches, int index_type = 3) {
    const Files files = {{"saved_model.pb", saved_model(case_graph(branches, index_type), kCase)}};
    const auto model = import_files(files);
    if (model) return std::string("a model");
    const bool is_odd = !branches.empty() && branches.back() == "odd";
    EXPECT_EQ(model.error().code, is_odd ? ErrorCode::kUnsupported : ErrorCode::kInvalidModel);
    return model.error().message;
  };
  EXPECT_EQ(error({"neg", "square"}), "a model");
  EXPECT_THAT(error({}), HasSubstr("node 'y' (Case): it has no branches"));
  EXPECT_THAT(error({"neg", "other", "neg"}),
              HasSubstr("node 'y' (Case): there is no function 'other'"));
  EXPECT_THAT(error({"neg", "neg", "both"}),
              HasSubstr("node 'y' (Case): branches of different results: 1 and 2"));
  EXPECT_THAT(error({"whole", "neg"}),
              HasSubstr("branches of different results: result 0 is i32 and f32"));
  EXPECT_THAT(error({"neg", "open"}), HasSubstr("'nothing:y:0' is no node"));
  EXPECT_THAT(error({"neg", "odd"}), HasSubstr("unsupported operators: Odd at node 'y'"));
  EXPECT_THAT(error({"neg", "neg"}, kFloat),
              HasSubstr("node 'y' (Case): branch_index is f32, i32 was expected"));
}

TEST(SavedModel, RefusesWhatItCannotRead) {
  const auto error = [](const Pb& graph, const std::vector<TfSignature>& signatures = kServing) {
    const auto model =
        import_files(with(checkpoint("s", "o").files(), saved_model(graph, signatures)));
    return model ? std::string("a model") : model.error().message;
  };
  EXPECT_THAT(error(tf_graph({}), {}), HasSubstr("a SavedModel without signatures"));
  EXPECT_THAT(error(tf_graph({}), {{"a", {}, {{"y", "y"}}}, {"b", {}, {{"y", "y"}}}}),
              HasSubstr("of the signatures 'a', 'b', of which none is 'serving_default'"));
  TfFunction counts = affine();
  counts.nodes.push_back(tf_node("count", "AssignAddVariableOp", {"offset", "scale/read:value:0"}));
  EXPECT_THAT(error(tf_graph(affine_nodes(), {counts})),
              HasSubstr("node 'count' (AssignAddVariableOp) changes a variable"));
  TfFunction looks = affine();
  looks.nodes.push_back(tf_node("table", "HashTableV2"));
  looks.nodes.push_back(tf_node("find", "LookupTableFindV2", {"table", "x", "x"}));
  EXPECT_THAT(error(tf_graph(affine_nodes(), {looks})),
              HasSubstr("HashTableV2 at node 'table' (tables); LookupTableFindV2 at node 'find'"));
  std::vector<Pb> nodes = affine_nodes();
  nodes[1] = handle("scale", "s", {3});
  EXPECT_THAT(error(tf_graph(nodes, {affine()})),
              HasSubstr("its tensor 's' in the checkpoint is f32[2], which is not what"));
}

TEST(SavedModel, RefusesBrokenCheckpoints) {
  const std::string model = saved_model(tf_graph(affine_nodes(), {affine()}), kServing);
  const auto error = [&](Files files, uint64_t inline_below = 65536) {
    const auto read = import_files(with(std::move(files), model), inline_below);
    return read ? std::string("a model") : read.error().message;
  };
  const CheckpointWriter good = checkpoint("s", "o");
  const std::string data = "variables/variables.data-00000-of-00001";
  EXPECT_EQ(error(good.files()), "a model");
  EXPECT_THAT(error({}), HasSubstr("there is no 'variables/variables.index'"));
  Files files = good.files();
  files[data][0] ^= 1;
  EXPECT_THAT(error(files), HasSubstr("variable 's' is damaged (CRC-32C)"));
  files = good.files();
  files[data].resize(12);
  EXPECT_THAT(error(files), HasSubstr("variable 'o' lies at byte 8 of"));
  EXPECT_THAT(error(files, 0), HasSubstr("variable 'o' lies at byte 8 of"));
  files = good.files();
  files["variables/variables.index"].pop_back();
  EXPECT_THAT(error(files), HasSubstr("does not end in a table's footer"));
  EXPECT_THAT(error(good.files({.compression = 1})), HasSubstr("compressed (Snappy)"));
  EXPECT_THAT(error(good.files({.wrong_checksum = true})),
              HasSubstr("the checksum of a block is another"));
  const auto one = [](int dtype, const std::vector<int64_t>& dims, std::string_view bytes,
                      const Pb& entry = {}) {
    return checkpoint("x", "o").raw("s", dtype, dims, bytes, entry).files();
  };
  EXPECT_THAT(error(one(1, {2}, "abc")), HasSubstr("variable 's' of 8 bytes has 3"));
  EXPECT_THAT(error(one(1, {-2}, "")), HasSubstr("variable 's'"));
  EXPECT_THAT(error(one(1, {1LL << 40, 1LL << 40}, "")), HasSubstr("variable 's'"));
  EXPECT_THAT(error(one(7, {}, "abc")), HasSubstr("variable 's' is of type string"));
  EXPECT_THAT(error(one(1, {2}, "12345678", Pb().bytes(7, "slice"))),
              HasSubstr("variable 's' is partitioned over several tensors"));
}

}  // namespace
}  // namespace quern::testing
