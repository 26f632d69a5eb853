// The three products that give a GroupQueryAttention its queries, keys and values from one input
// become one, of their weights side by side: a decoder multiplies one row, where a dispatch costs
// as much as the product. Weights are put together by graph nodes over the constants: large ones
// run once at load, after which the parts are freed (Placement::load_only). Not on the CPU, where a
// step costs nothing and the parts would stay: memory of WebAssembly does not shrink.

#include <array>
#include <optional>

#include "passes/passes.h"
#include "passes/products.h"

namespace quern {
namespace {

using Three = std::array<Product, 3>;

/// The three that give queries, keys and values to a node, if their columns are its heads.
std::optional<Three> products_of(const Graph& graph, const Node& node) {
  if (!node.is("GroupQueryAttention", "com.microsoft")) return std::nullopt;
  Three three;
  for (size_t i = 0; i < 3; ++i) {
    const Value* v = node.input(i);
    const auto p = v != nullptr ? product_of(graph, *v) : std::nullopt;
    if (!p) return std::nullopt;
    three[i] = *p;
  }
  const int64_t heads = node.int_or("num_heads", 0);
  const int64_t kv_heads = node.int_or("kv_num_heads", 0);
  if (heads < 1 || kv_heads < 1 || three[0].columns % heads != 0) return std::nullopt;
  const int64_t size = three[0].columns / heads;
  if (three[1].columns != size * kv_heads || three[2].columns != size * kv_heads) {
    return std::nullopt;
  }
  return are_alike(three) ? std::optional(three) : std::nullopt;
}

}  // namespace

Result<void> pack_products(Graph& graph, PassReport& report) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    for (Graph* body : node.subgraphs()) QUERN_TRY(pack_products(*body, report));
    if (const auto three = products_of(graph, node)) {
      graph.set_input(&node, 0, side_by_side(graph, node, *three));
      graph.set_input(&node, 1, nullptr);
      graph.set_input(&node, 2, nullptr);
      ++report.hits["packed products"];
    }
  }
  return {};
}

}  // namespace quern
