// The three products that give a GroupQueryAttention its queries, keys and values from one input
// become one, of their weights side by side: a decoder multiplies one row, where a dispatch costs
// as much as the product. Weights are put together by graph nodes over the constants: large ones
// run once at load, after which the parts are freed (Placement::load_only). Not on the CPU, where a
// step costs nothing and the parts would stay: memory of WebAssembly does not shrink.

#include <array>
#include <optional>

#include "ops/common/expansion.h"
#include "ops/common/nbits.h"
#include "passes/passes.h"

namespace quern {
namespace {

constexpr int kOpset = 23;

/// A product by a constant matrix, and the constant vector added to it, if any.
struct Product {
  Node* product = nullptr;
  Node* sum = nullptr;
  Value* bias = nullptr;
  int64_t columns = 0;
};

bool is_matrix(const Value* v) {
  return v != nullptr && v->constant && v->constant->dims.size() == 2;
}
bool is_vector(const Value* v) {
  return v != nullptr && v->constant && v->constant->dims.size() == 1;
}

std::optional<Product> product_of(const Graph& graph, const Value& value) {
  Product p;
  p.product = value.producer;
  if (p.product == nullptr || p.product->graph != &graph || !is_used_once(graph, value)) {
    return std::nullopt;
  }
  if (p.product->is("Add")) {
    p.sum = p.product;
    const bool is_second = is_vector(p.sum->inputs[1]);
    p.bias = p.sum->inputs[is_second ? 1 : 0];
    const Value* product = p.sum->inputs[is_second ? 0 : 1];
    p.product = product->producer;
    if (!is_vector(p.bias) || p.product == nullptr || p.product->graph != &graph ||
        !is_used_once(graph, *product)) {
      return std::nullopt;
    }
  }
  const Value* b = p.product->input(1);
  if (b == nullptr || !is_used_once(graph, *b)) return std::nullopt;  // it would be kept besides
  if (p.product->is("MatMul")) {
    if (!is_matrix(b) || !is_float(b->constant->dtype)) return std::nullopt;
    p.columns = b->constant->dims[1];
  } else if (p.product->is("MatMulNBits", "com.microsoft")) {
    for (size_t i = 1; i < p.product->inputs.size(); ++i) {
      const Value* v = p.product->inputs[i];
      if (v != nullptr && (!v->constant || i == nbits::kGroupIndex)) return std::nullopt;
    }
    const auto q = read_nbits(*p.product);
    if (!q) return std::nullopt;
    p.columns = q->n;
  } else {
    return std::nullopt;
  }
  if (p.sum != nullptr && p.bias->constant->dims[0] != p.columns) return std::nullopt;
  return p;
}

using Three = std::array<Product, 3>;

/// Alike but for their columns?
bool are_alike(const Three& three) {
  const Node& first = *three[0].product;
  for (const Product& p : three) {
    const Node& node = *p.product;
    if (node.op != first.op || node.domain != first.domain || node.inputs[0] != first.inputs[0] ||
        node.inputs.size() != first.inputs.size() ||
        (p.sum != nullptr) != (three[0].sum != nullptr)) {
      return false;
    }
    for (const char* name : {"K", "bits", "block_size", "accuracy_level"}) {
      if (node.int_or(name, 0) != first.int_or(name, 0)) return false;
    }
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Value* a = node.inputs[i];
      const Value* b = first.inputs[i];
      if ((a == nullptr) != (b == nullptr)) return false;
      if (a != nullptr && (a->constant->dtype != b->constant->dtype ||
                           a->constant->dims.size() != b->constant->dims.size())) {
        return false;
      }
    }
    if (p.bias != nullptr && p.bias->constant->dtype != three[0].bias->constant->dtype) {
      return false;
    }
  }
  return true;
}

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

void pack(Graph& graph, Node& node, const Three& three) {
  Expansion e(graph, node, kOpset);
  const Node& first = *three[0].product;
  const auto side_by_side = [&](const auto& part_of, int64_t axis) {
    return e.add("Concat", {part_of(three[0]), part_of(three[1]), part_of(three[2])},
                 {{"axis", axis}});
  };
  std::vector<Value*> inputs = {first.inputs[0]};
  const bool packed_bits = !first.domain.empty();
  for (size_t i = 1; i < first.inputs.size(); ++i) {
    const auto input = [i](const Product& p) { return p.product->inputs[i]; };
    // Packed matrices, their scales, zero points and bias are columns first.
    inputs.push_back(first.inputs[i] == nullptr ? nullptr
                                                : side_by_side(input, packed_bits ? 0 : 1));
  }
  Node* product =
      graph.add_node(first.op, std::move(inputs), 1, &node, first.domain, first.version);
  product->name = first.name;
  product->attributes = first.attributes;
  if (packed_bits) {
    product->attributes["N"] = three[0].columns + three[1].columns + three[2].columns;
  }
  Value* y = product->outputs[0];
  if (three[0].sum != nullptr) {
    y = e.add("Add", {y, side_by_side([](const Product& p) { return p.bias; }, 0)});
  }
  graph.set_input(&node, 0, y);
  graph.set_input(&node, 1, nullptr);
  graph.set_input(&node, 2, nullptr);
}

}  // namespace

Result<void> pack_products(Graph& graph, PassReport& report) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    for (Graph* body : node.subgraphs()) QUERN_TRY(pack_products(*body, report));
    if (const auto three = products_of(graph, node)) {
      pack(graph, node, *three);
      ++report.hits["packed products"];
    }
  }
  return {};
}

}  // namespace quern
