// The products of one GroupQueryAttention, from text to text.

#include <gtest/gtest.h>

#include "ir/print.h"
#include "ir/verify.h"
#include "passes/passes.h"

namespace quern {
namespace {

struct Layer {
  std::string more;  ///< inputs of the graph besides
  std::string products, attributes = "num_heads = 2, kv_num_heads = 1";
  std::string outputs = "%y";
};

/// A row of 4 elements; two query heads and one key head.
std::unique_ptr<Graph> parsed(const Layer& layer) {
  auto graph = parse_graph(cat("graph main(%x: f32[1, n, 4]", layer.more, ") {\n", layer.products,
                               R"(
    %lengths = constant i32[1] [0]
    %total = constant i32[] [1]
    %y = com.microsoft.GroupQueryAttention@1(%q, %k, %v, _, _, %lengths, %total) {)",
                               layer.attributes, "}\n    return ", layer.outputs, "\n  }"));
  EXPECT_TRUE(graph) << graph.error().message;
  for_each_node(**graph, [](Node& node) {
    if (node.version == 0) node.version = 17;
  });
  const auto inferred = infer_shapes(**graph);
  EXPECT_TRUE(inferred) << inferred.error().message;
  return *std::move(graph);
}

std::string numbers(size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) out += cat(i == 0 ? "" : ", ", i % 7);
  return cat("[", out, "]");
}

std::string matrix(std::string_view name, size_t rows, size_t columns) {
  return cat("    %", name, " = constant f32[", rows, ", ", columns, "] ", numbers(rows * columns),
             "\n");
}

/// A product by a matrix of so many columns.
std::string product(std::string_view name, size_t columns) {
  return cat(matrix(cat(name, "_weight"), 4, columns), "    %", name, " = MatMul(%x, %", name,
             "_weight)\n");
}

/// The operators after the pass, what is dead removed, and what becomes of constants left as it is.
std::string packed(const Layer& layer) {
  auto graph = parsed(layer);
  PassReport report;
  EXPECT_TRUE(pack_products(*graph, report));
  EXPECT_TRUE(remove_dead_code(*graph, report));
  const auto inferred = infer_shapes(*graph);
  EXPECT_TRUE(inferred) << inferred.error().message;
  const auto valid = verify(*graph);
  EXPECT_TRUE(valid) << valid.error().message << "\n" << print(*graph);
  std::string out;
  for (const auto& node : graph->nodes()) out += cat(out.empty() ? "" : " ", node->op);
  return out;
}

constexpr std::string_view kApart = "MatMul MatMul MatMul GroupQueryAttention";

TEST(PackProducts, OfOneInputBecomeOne) {
  auto graph = parsed({.products = product("q", 8) + product("k", 4) + product("v", 4)});
  PassReport report;
  ASSERT_TRUE(pack_products(*graph, report));
  ASSERT_TRUE(remove_dead_code(*graph, report));
  ASSERT_TRUE(fold_constants(*graph, report));
  ASSERT_TRUE(infer_shapes(*graph));
  ASSERT_EQ(graph->nodes().size(), 2u) << print(*graph);
  const Node& made = *graph->nodes()[0];
  const HostTensor& weight = made.inputs[1]->constant->host;
  EXPECT_EQ(weight.dims, (Dims{4, 16}));
  // Row 1: of q, then k, then v.
  EXPECT_EQ(weight.float_at(16), 1);
  EXPECT_EQ(weight.float_at(16 + 8), 4);
  EXPECT_EQ(weight.float_at(16 + 12), 4);
  const Node& attention = *graph->nodes()[1];
  EXPECT_EQ(attention.inputs[0], made.outputs[0]);
  EXPECT_EQ(attention.input(1), nullptr);
  EXPECT_EQ(report.hits["packed products"], 1);
}

TEST(PackProducts, BiasesAreSideBySideToo) {
  std::string all;
  for (const auto& [name, columns] : {std::pair("q", 8), {"k", 4}, {"v", 4}}) {
    const auto count = static_cast<size_t>(columns);
    all += product(cat(name, "_product"), count);
    all += cat("    %", name, "_bias = constant f32[", count, "] ", numbers(count), "\n    %", name,
               " = Add(%", name, "_bias, %", name, "_product)\n");
  }
  EXPECT_EQ(packed({.products = all}), "Concat MatMul Concat Add GroupQueryAttention");
  // One without is one of zeros.
  EXPECT_EQ(packed({.products = product("q", 8) + product("k", 4) + product("v_product", 4) +
                                "%b = constant f32[4] [1, 2, 3, 4]\n %v = Add(%v_product, %b)\n"}),
            "Concat MatMul Concat Add GroupQueryAttention");
}

TEST(PackProducts, OfFourBitsWithZeroPoints) {
  // Rows of 16 elements: one block of 8 bytes.
  const auto product_of = [](std::string_view name, size_t n, bool zeros, int block = 16) {
    std::string out = cat("%", name, "_b = constant u8[", n, ", 1, 8] ", numbers(n * 8), "\n");
    out += cat("%", name, "_s = constant f32[", n, "] ", numbers(n), "\n");
    if (zeros) out += cat("%", name, "_z = constant u8[", n, "] ", numbers(n), "\n");
    out += cat("%", name, " = com.microsoft.MatMulNBits@1(%w, %", name, "_b, %", name, "_s",
               zeros ? cat(", %", name, "_z") : "", ") {K = 16, N = ", n,
               ", bits = 4, block_size = ", block, "}\n");
    return out;
  };
  const std::string more = ", %w: f32[1, n, 16]";
  auto graph = parsed(
      {.more = more,
       .products = product_of("q", 8, true) + product_of("k", 4, true) + product_of("v", 4, true)});
  PassReport report;
  ASSERT_TRUE(pack_products(*graph, report));
  ASSERT_TRUE(remove_dead_code(*graph, report));
  ASSERT_TRUE(fold_constants(*graph, report));
  const auto inferred = infer_shapes(*graph);
  ASSERT_TRUE(inferred) << inferred.error().message;
  ASSERT_EQ(graph->nodes().size(), 2u) << print(*graph);
  const Node& made = *graph->nodes()[0];
  EXPECT_EQ(made.int_or("N", 0), 16);
  EXPECT_EQ(made.inputs[1]->constant->host.dims, (Dims{16, 1, 8}));
  EXPECT_EQ(made.inputs[2]->constant->host.dims, Dims{16});
  EXPECT_EQ(made.inputs[3]->constant->host.dims, Dims{16});
  EXPECT_EQ(made.inputs[3]->constant->host.int_at(8), 0) << "the first of k";
  // Zero points of some of them only.
  EXPECT_EQ(packed({.more = more,
                    .products = product_of("q", 8, true) + product_of("k", 4, false) +
                                product_of("v", 4, true)}),
            "MatMulNBits MatMulNBits MatMulNBits GroupQueryAttention");
}

TEST(PackProducts, OnlyWhereColumnsAreHeads) {
  // Values narrower than keys; no whole heads.
  EXPECT_EQ(packed({.products = product("q", 8) + product("k", 8) + product("v", 8)}), kApart);
  EXPECT_EQ(packed({.products = product("q", 8) + product("k", 4) + product("v", 4),
                    .attributes = "num_heads = 3, kv_num_heads = 1"}),
            kApart);
}

TEST(PackProducts, OnlyOfConstants) {
  EXPECT_EQ(packed({.more = ", %w: f32[4, 4]",
                    .products = product("q", 8) + product("k", 4) + "%v = MatMul(%x, %w)\n"}),
            kApart);
}

TEST(PackProducts, OnlyOfOneInput) {
  EXPECT_EQ(packed({.more = ", %z: f32[1, n, 4]",
                    .products = product("q", 8) + product("k", 4) + matrix("w", 4, 4) +
                                "%v = MatMul(%z, %w)\n"}),
            kApart);
}

TEST(PackProducts, OnlyWhatNothingElseReads) {
  EXPECT_EQ(packed({.products = product("q", 8) + product("k", 4) + product("v", 4),
                    .outputs = "%y, %k"}),
            kApart);
  // One matrix for two of them: it would be kept besides.
  EXPECT_EQ(
      packed({.products = product("q", 8) + product("k", 4) + "%v = MatMul(%x, %k_weight)\n"}),
      kApart);
}

}  // namespace
}  // namespace quern
