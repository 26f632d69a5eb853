#include "import/onnx/mutate.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "import/onnx/testing.h"
#include "ir/print.h"
#include "ir/verify.h"

namespace quern {
namespace {

using namespace testing;  // NOLINT

std::vector<uint8_t> bytes_of(const Pb& file) { return {file.span().begin(), file.span().end()}; }

/// What the models in the tests' data lack: functions, captures, sparse and external data.
std::vector<std::vector<uint8_t>> models() {
  const std::vector<float> data(100, 1.f);
  const Pb sparse = Pb().message(1, f32_tensor("s", {1}, {5}))
                        .message(2, tensor("", 7, {1}).packed(7, {1}))
                        .varint(3, 2);
  const Pb inner = graph({.nodes = {node("Mul", {"t", "x"}, {"u"})}, .outputs = {f32_value("u")}});
  const Pb branch =
      graph({.nodes = {node("Add", {"x", "w"}, {"t"}),
                       node("If", {"c"}, {"v"}, {graph_attribute("then_branch", inner)})},
             .initializers = {f32_tensor("w", {100}, data)},
             .outputs = {f32_value("v")}});
  Pb with_bodies = model(graph(
      {.nodes = {node("If", {"c"}, {"y"},
                      {graph_attribute("then_branch", branch),
                       graph_attribute("else_branch", inner)}),
                 node("Foo", {"x", "e"}, {"t"}),
                 node("Constant", {}, {"c"}, {Pb().bytes(1, "sparse_value").message(22, sparse)})},
       .initializers = {tensor("e", 7, {3}).packed(7, {1, 2, 3}),
                        tensor("n", 22, {3}).packed(5, {0x21, 0x03}),
                        tensor("s", 8, {1}).bytes(6, "a"),
                        tensor("x0", 1, {0})
                            .varint(14, 1)
                            .message(13, Pb().bytes(1, "location").bytes(2, "a"))},
       .inputs = {f32_value("x", {"n", "", "3"}),
                  value_info("q", Pb().message(4, Pb().message(1, tensor_type(1, {"4"}))))},
       .outputs = {f32_value("y")},
       .values = {f32_value("t", {"n", "3"})}}));
  const FunctionParts f{
      .name = "F",
      .domain = "local",
      .inputs = {"a", "b"},
      .outputs = {"r", "a", "r"},
      .attributes = {"p", "body"},
      .nodes = {node("Constant", {}, {"k"}, {ref_attribute("value_int", 2, "p")}),
                node("If", {"k"}, {"r"},
                     {ref_attribute("then_branch", 5, "body"), ref_attribute("i", 2, "q")})},
      .defaults = {int_attribute("q", 5)}};
  const FunctionParts g{
      .name = "G",
      .domain = "local",
      .inputs = {"a"},
      .outputs = {"r"},
      .attributes = {"body"},
      .nodes = {named_node("", "local",
                           node("F", {"a", ""}, {"m", "l", "o"},
                                {int_attribute("p", 1), ref_attribute("body", 5, "body")})),
                named_node("", "local",
                           node("F", {"m"}, {"r"},
                                {int_attribute("p", 2), graph_attribute("body", inner)})),
                node("Foo", {"o"}, {"t"}), node("Foo", {"l"}, {"x"})},
      .defaults = {}};
  Pb with_functions =
      model(graph({.nodes = {named_node("n", "local",
                                        node("G", {"x"}, {"y"}, {graph_attribute("body", branch)})),
                             node("Foo", {"x"}, {"c"})},
                   .inputs = {f32_value("x")},
                   .outputs = {f32_value("y")}}));
  with_functions.message(25, function(f)).message(25, function(g)).message(8, opset("local", 1));
  return {bytes_of(with_bodies), bytes_of(with_functions)};
}

uint64_t current_mutant = 0;

TEST(MutateTest, UnchangedModelsImport) {
  for (const auto& model : models()) {
    const auto loaded = load_onnx(model);
    EXPECT_TRUE(loaded) << loaded.error().message;
  }
}

TEST(MutateTest, MutantsGiveModelsThatVerifyOrErrors) {
  MutateOptions options;
  // A long run sets the count.
  const char* count = std::getenv("QUERN_MUTANTS");
  options.count = count ? std::strtoull(count, nullptr, 10) : 3000;
  options.load.scan.payload_threshold = 64;
  options.load.import.memory_limit = 64 << 20;
  // A failure's mutant, to be made again by mutant_of(models()[number % 2], 1, number).
  options.before = [](uint64_t number, std::span<const uint8_t>) { current_mutant = number; };
  options.check = [](LoadedModel& loaded) -> Result<void> {
    if (auto ok = verify(*loaded.model.graph); !ok) {
      ADD_FAILURE() << "mutant " << current_mutant << ": " << ok.error().message << "\n"
                    << print(*loaded.model.graph);
      return ok;
    }
    const std::string text = print(*loaded.model.graph);
    const auto again = parse_graph(text);
    if (!again || print(**again) != text) {
      ADD_FAILURE() << "mutant " << current_mutant << ": " << text;
      return internal_error("text does not read back");
    }
    return {};
  };
  const MutateStats stats = mutate_models(models(), options);
  EXPECT_EQ(stats.mutants, options.count);
  EXPECT_EQ(stats.accepted, stats.imported);
  EXPECT_GT(stats.imported, stats.mutants / 5);
  EXPECT_LT(stats.imported, stats.mutants * 4 / 5);
}

TEST(MutateTest, MutantsCanBeMadeAgain) {
  const auto model = models()[0];
  EXPECT_EQ(mutant_of(model, 1, 5), mutant_of(model, 1, 5));
  EXPECT_NE(mutant_of(model, 1, 5), mutant_of(model, 1, 6));
  EXPECT_NE(mutant_of(model, 1, 5), mutant_of(model, 2, 5));
}

}  // namespace
}  // namespace quern
