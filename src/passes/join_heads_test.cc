// Heads split and merged around attention, from text to text.

#include <gtest/gtest.h>

#include <algorithm>

#include "ir/print.h"
#include "passes/passes.h"

namespace quern {
namespace {

std::string numbers(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += cat(i == 0 ? "" : ", ", i % 7);
  return cat("[", out, "]");
}

/// %name = %x times a matrix of `columns`, with a bias.
std::string projection(std::string_view name, size_t columns, std::string_view x = "x",
                       bool bias = true) {
  std::string out = cat("    %", name, "_w = constant f32[8, ", columns, "] ", numbers(8 * columns),
                        "\n    %", name, bias ? "_p" : "", " = MatMul(%", x, ", %", name, "_w)\n");
  if (bias) {
    out += cat("    %", name, "_b = constant f32[", columns, "] ", numbers(columns), "\n    %",
               name, " = Add(%", name, "_p, %", name, "_b)\n");
  }
  return out;
}

/// %name_h = the rows of %name by two heads, heads first.
std::string split(std::string_view name) {
  return cat("    %", name, "_r = Reshape(%", name, ", %four)\n    %", name, "_h = Transpose(%",
             name, "_r) {perm = [0, 2, 1, 3]}\n");
}

/// Attention of %q_h, %k_h and %v_h, and the heads merged.
constexpr std::string_view kAttention = R"(
    %k_t = Transpose(%k_h) {perm = [0, 1, 3, 2]}
    %scores = MatMul(%q_h, %k_t)
    %weights = Softmax(%scores) {axis = -1}
    %o = MatMul(%weights, %v_h)
    %rows = Transpose(%o) {perm = [0, 2, 1, 3]}
    %y = Reshape(%rows, %three)
)";

struct Passed {
  std::unique_ptr<Graph> graph;
  std::string ops;  ///< but for Reshapes, which are views
  const Node* attention = nullptr;
};

Passed passed(const std::string& nodes, bool few_dispatches = true,
              std::string_view outputs = "%y") {
  auto graph = parse_graph(cat("graph main(%x: f32[b, n, 8], %z: f32[b, m, 8]) {\n",
                               "    %four = constant i64[4] [0, 0, 2, 4]\n",
                               "    %three = constant i64[3] [0, 0, -1]\n", nodes, "    return ",
                               outputs, "\n  }"));
  EXPECT_TRUE(graph) << graph.error().message;
  for_each_node(**graph, [](Node& node) {
    if (node.version == 0) node.version = 17;
  });
  PassReport report;
  const auto done =
      run_passes(**graph, {.few_dispatches = few_dispatches, .verify_each = true}, report);
  EXPECT_TRUE(done) << done.error().message;
  Passed out{*std::move(graph), {}, nullptr};
  for (const auto& node : out.graph->nodes()) {
    if (node->is("Attention", "quern")) out.attention = node.get();
    if (!node->is("Reshape")) out.ops += cat(out.ops.empty() ? "" : " ", node->op);
  }
  EXPECT_NE(out.attention, nullptr);
  return out;
}

std::vector<int64_t> starts(const Passed& p) {
  const std::vector<int64_t>* starts = p.attention->ints("head_starts");
  return starts != nullptr ? *starts : std::vector<int64_t>{};
}

TEST(JoinHeads, TransposesAroundAttentionGo) {
  const Passed p = passed(projection("q", 8) + projection("k", 8) + projection("v", 8) +
                              split("q") + split("k") + split("v") + std::string(kAttention),
                          false);
  EXPECT_EQ(p.ops, "Fused Fused Fused Attention");
  EXPECT_EQ(p.attention->int_or("rows_first", 0), 15);
  EXPECT_EQ(starts(p), std::vector<int64_t>{});
}

TEST(JoinHeads, AResultThatIsReadHeadsFirstStaysSo) {
  const Passed p = passed(projection("q", 8) + projection("k", 8) + projection("v", 8) +
                              split("q") + split("k") + split("v") + std::string(kAttention),
                          false, "%y, %o");
  EXPECT_EQ(p.ops, "Fused Fused Fused Attention Transpose");
  EXPECT_EQ(p.attention->int_or("rows_first", 0), 7);
}

/// Parts of one projection: `part` says how %name_h is part number i of %parts.
template <class Part>
std::string packed(std::string_view shape, std::string_view perm, const Part& part) {
  std::string out = projection("qkv", 24);
  out += cat("    %five = constant i64[5] ", shape, "\n    %all = Reshape(%qkv, %five)\n",
             "    %parts = Transpose(%all) {perm = ", perm, "}\n");
  int i = 0;
  for (const char* name : {"q", "k", "v"}) out += part(name, i++);
  return out + std::string(kAttention);
}

std::string gathered(std::string_view name, int i) {
  return cat("    %", name, "_i = constant i64[] [", i, "]\n    %", name, "_h = Gather(%parts, %",
             name, "_i) {axis = 0}\n");
}

TEST(JoinHeads, PartsOfAProjectionAreReadAsTheyLie) {
  const Passed parts = passed(packed("[0, 0, 3, 2, 4]", "[2, 0, 3, 1, 4]", gathered));
  EXPECT_EQ(parts.ops, "Fused Attention");
  EXPECT_EQ(starts(parts), (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(*parts.attention->ints("head_steps"), (std::vector<int64_t>{1, 1, 1}));
  const Passed heads = passed(packed("[0, 0, 2, 3, 4]", "[3, 0, 2, 1, 4]", gathered));
  EXPECT_EQ(heads.ops, "Fused Attention");
  EXPECT_EQ(starts(heads), (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(*heads.attention->ints("head_steps"), (std::vector<int64_t>{3, 3, 3}));
}

TEST(JoinHeads, PartsBySlices) {
  const Passed p = passed(packed("[0, 0, 3, 2, 4]", "[2, 0, 3, 1, 4]", [](const char* name, int i) {
    // The last by what follows from its end.
    return cat("    %", name, "_s = constant i64[1] [", i == 2 ? -1 : i, "]\n    %", name,
               "_e = constant i64[1] [", i == 2 ? 99 : i + 1, "]\n    %", name,
               "_a = constant i64[1] [0]\n    %", name, "_1 = Slice(%parts, %", name, "_s, %", name,
               "_e, %", name, "_a)\n    %", name, "_h = Squeeze(%", name, "_1, %", name, "_a)\n");
  }));
  EXPECT_EQ(p.ops, "Fused Attention");
  EXPECT_EQ(starts(p), (std::vector<int64_t>{0, 2, 4}));
}

TEST(JoinHeads, PartsThatAreNoneStay) {
  for (const char* index : {"9223372036854775807", "-4", "3"}) {
    const std::string bad =
        packed("[0, 0, 3, 2, 4]", "[2, 0, 3, 1, 4]", [&](const char* name, int i) {
          std::string one = gathered(name, i);
          if (i == 1) one.replace(one.find("[1]"), 3, cat("[", index, "]"));
          return one;
        });
    const Passed p = passed(bad);
    EXPECT_EQ(starts(p), (std::vector<int64_t>{0, 0, 4})) << index;
    EXPECT_EQ(p.attention->int_or("rows_first", 0) & 7, 5) << index;  // keys as they are
  }
}

TEST(JoinHeads, OtherPermutationsStay) {
  const Passed p = passed(packed("[0, 0, 3, 2, 4]", "[2, 0, 1, 3, 4]", gathered));
  EXPECT_EQ(starts(p), std::vector<int64_t>{});
}

std::string layer(std::string_view q, std::string_view k, std::string_view v,
                  std::string_view more = "") {
  return cat(q, k, v, more, split("q"), split("k"), split("v"), kAttention);
}

TEST(PackHeads, ProductsOfOneInputBecomeOne) {
  const Passed p =
      passed(layer(projection("q", 8), projection("k", 8, "x", false), projection("v", 8)));
  EXPECT_EQ(p.ops, "Fused Attention");
  EXPECT_EQ(starts(p), (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(p.attention->inputs[0], p.attention->inputs[2]);
  const Node& product = *p.graph->nodes()[0];
  for (const Value* v : product.inputs) {
    if (v->constant && v->constant->dims.size() == 1) {
      // Keys had no bias.
      EXPECT_EQ(v->constant->host.float_at(7), 0);
      EXPECT_EQ(v->constant->host.float_at(9), 0);
      EXPECT_EQ(v->constant->host.float_at(17), 1);
    }
  }
}

TEST(PackHeads, AFactorOfQueriesGoesIntoTheScale) {
  const Passed p = passed(layer(
      cat(projection("u", 8), "    %half = constant f32[] [0.5]\n", "    %q = Mul(%u, %half)\n"),
      projection("k", 8), projection("v", 8)));
  EXPECT_EQ(p.ops, "Fused Attention");
  EXPECT_EQ(p.attention->float_or("scale", 0), 0.5f);
  // Not one of values.
  const Passed apart = passed(layer(
      projection("q", 8), projection("k", 8),
      cat(projection("u", 8), "    %half = constant f32[] [0.5]\n", "    %v = Mul(%u, %half)\n")));
  EXPECT_EQ(apart.ops, "Fused Fused Fused Attention");
}

TEST(PackHeads, KeysAndValuesWhereQueriesAreOfAnotherInput) {
  const Passed p =
      passed(layer(projection("q", 8), projection("k", 8, "z"), projection("v", 8, "z")));
  EXPECT_EQ(p.ops, "Fused Fused Attention");
  EXPECT_EQ(starts(p), (std::vector<int64_t>{0, 0, 2}));
  EXPECT_EQ(p.attention->int_or("heads", 0), 2);
}

TEST(PackHeads, OnlyWhatNothingElseReads) {
  const std::string all =
      layer(projection("q", 8), projection("k", 8), projection("v", 8), "    %also = Relu(%k)\n");
  EXPECT_EQ(starts(passed(all)), (std::vector<int64_t>{0, 2, 4}));  // nothing reads that
  EXPECT_EQ(starts(passed(all, true, "%y, %also")), std::vector<int64_t>{});
  const Passed shared =
      passed(layer(projection("q", 8), "    %k = MatMul(%x, %q_w)\n", projection("v", 8)));
  EXPECT_EQ(starts(shared), std::vector<int64_t>{});
}

TEST(PackHeads, OnlyWhereDispatchesAreDear) {
  const Passed p = passed(layer(projection("q", 8), projection("k", 8), projection("v", 8)), false);
  EXPECT_EQ(p.ops, "Fused Fused Fused Attention");
}

}  // namespace
}  // namespace quern
