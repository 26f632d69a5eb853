// The products that give an attention (quern.Attention) its queries, keys and values become one
// where they are of one input, as pack_products.cc has it for GroupQueryAttention; those of keys
// and values where queries come from elsewhere. The attention reads its heads from what that one
// gives.

#include <array>
#include <cmath>
#include <optional>
#include <vector>

#include "ops/common/attention_shape.h"
#include "passes/passes.h"
#include "passes/products.h"
#include "passes/recognise_attention_operands.h"
#include "passes/recognise_match.h"

namespace quern {
namespace {

constexpr int kOpset = 23;

/// An operand [batch, rows, heads, size] that is what a product gives, times a factor.
struct Operand {
  Product product;
  double factor = 1;
  int64_t heads = 0, size = 0;
};

/// `v` or what it is times a number.
const Value* without_factor(const Graph& graph, const Value* v, double& factor) {
  if (maker_in(graph, v, "Mul") == nullptr || !is_used_once(graph, *v)) return v;
  const Value* before = before_scale(v, factor);
  return before != nullptr ? before : v;
}

std::optional<Operand> operand_of(const Graph& graph, const Value* v) {
  const Node* reshape = maker_in(graph, v, "Reshape");
  if (reshape == nullptr || !is_used_once(graph, *v)) return std::nullopt;
  const Value* rows = reshape->inputs[0];
  const Shape* in = shape_of(rows);
  const Shape* out = shape_of(v);
  if (in == nullptr || out == nullptr || in->size() != 3 || out->size() != 4 ||
      (*in)[0] != (*out)[0] || (*in)[1] != (*out)[1]) {
    return std::nullopt;
  }
  Operand o;
  const auto heads = (*out)[2].constant();
  const auto size = (*out)[3].constant();
  const auto product = product_of(graph, *without_factor(graph, rows, o.factor));
  // The product's own columns bound what a hostile shape may say.
  if (!heads || !size || !product || *heads < 1 || *size < 1 || *heads > product->columns ||
      *size > product->columns || product->columns != *heads * *size) {
    return std::nullopt;
  }
  o.product = *product;
  o.heads = *heads;
  o.size = *size;
  return o;
}

/// Which operands of the node become one: the first is number `first`, the last the values.
struct Packing {
  size_t first = 0;
  int64_t heads = 0;  ///< of queries
  std::vector<Operand> operands;
};

std::optional<Packing> packing_of(const Graph& graph, const Node& node) {
  constexpr int64_t kRows = attention::kQRows | attention::kKRows | attention::kVRows;
  if (!node.is("Attention", "quern") || node.attribute("head_starts") != nullptr ||
      (node.int_or("rows_first", 0) & kRows) != kRows) {
    return std::nullopt;
  }
  const Shape* q = shape_of(node.inputs[0]);
  const auto heads = q != nullptr && q->size() == 4 ? (*q)[2].constant() : std::nullopt;
  if (!heads) return std::nullopt;
  std::array<std::optional<Operand>, 3> found;
  for (size_t i = 0; i < 3; ++i) found[i] = operand_of(graph, node.inputs[i]);
  for (const size_t first : {0u, 1u}) {
    Packing p{.first = first, .heads = *heads};
    std::vector<Product> products;
    bool fit = true;
    for (size_t i = first; i < 3 && fit; ++i) {
      fit = found[i] && found[i]->size == found[2]->size && (i < 2 || found[i]->factor == 1);
      if (!fit) break;
      p.operands.push_back(*found[i]);
      products.push_back(found[i]->product);
    }
    if (fit && found[1]->heads == found[2]->heads && are_alike(products)) return p;
  }
  return std::nullopt;
}

void pack(Graph& graph, Node& node, const Packing& p) {
  Expansion e(graph, node, kOpset);
  std::vector<Product> products;
  std::vector<int64_t> starts(3, 0);
  int64_t all = 0;
  double factor = 1;
  for (size_t i = 0; i < p.operands.size(); ++i) {
    const Operand& o = p.operands[i];
    products.push_back(o.product);
    starts[p.first + i] = all;
    all += o.heads;
    factor *= o.factor;
  }
  const int64_t size = p.operands[0].size;
  Value* rows = side_by_side(graph, node, products);
  Value* packed = e.add("Reshape", {rows, e.ints({0, 0, all, size})});
  for (size_t i = p.first; i < 3; ++i) graph.set_input(&node, i, packed);
  node.attributes["heads"] = p.heads;
  node.attributes["kv_heads"] = p.operands.back().heads;
  node.attributes["head_starts"] = std::move(starts);
  node.attributes["head_steps"] = std::vector<int64_t>(3, 1);
  if (factor != 1) {
    const double usual = 1 / std::sqrt(static_cast<double>(size));
    const auto scale = static_cast<double>(node.float_or("scale", static_cast<float>(usual)));
    node.attributes["scale"] = static_cast<float>(scale * factor);
  }
}

Result<bool> pack_all(Graph& graph, PassReport& report) {
  bool any = false;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    for (Graph* body : node.subgraphs()) {
      QUERN_ASSIGN(const bool in_body, pack_all(*body, report));
      any = any || in_body;
    }
    const auto packing = packing_of(graph, node);
    if (!packing) continue;
    pack(graph, node, *packing);
    ++report.hits["packed products"];
    any = true;
  }
  return any;
}

}  // namespace

Result<void> pack_heads(Graph& graph, PassReport& report) {
  QUERN_ASSIGN(const bool any, pack_all(graph, report));
  return any ? infer_shapes(graph) : Result<void>();
}

}  // namespace quern
