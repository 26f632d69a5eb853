// Two products of one input, of which one goes through SiLU and multiplies the other (the first
// half of a decoder's perceptron), become one node: a step of one row is then one dispatch where it
// took two. The weights stay two tensors.

#include <array>
#include <optional>

#include "passes/passes.h"

namespace quern {
namespace {

struct Pair {
  Node* gate = nullptr;
  Node* up = nullptr;
};

/// What gives a value that nothing else reads.
Node* made_by(const Graph& graph, const Value* value, std::string_view op,
              std::string_view domain = "") {
  return value != nullptr && is_used_once(graph, *value) ? maker_in(graph, value, op, domain)
                                                         : nullptr;
}

bool is_half_or_float(const Value& v) {
  return v.type.dtype == DType::kF32 || v.type.dtype == DType::kF16;
}

/// Products by constants, alike.
bool are_alike(const Node& gate, const Node& up) {
  if (gate.inputs.size() != up.inputs.size() || gate.inputs[0] != up.inputs[0] ||
      !is_half_or_float(*gate.inputs[0])) {
    return false;
  }
  for (size_t i = 1; i < gate.inputs.size(); ++i) {
    const Value* a = gate.inputs[i];
    const Value* b = up.inputs[i];
    if (a == nullptr && b == nullptr) continue;
    if (a == nullptr || b == nullptr || !a->constant || !b->constant || i > 3 ||
        a->constant->dtype != b->constant->dtype || a->constant->dims != b->constant->dims) {
      return false;
    }
  }
  for (const char* name : {"K", "N", "bits", "block_size"}) {
    if (gate.int_or(name, 0) != up.int_or(name, 0)) return false;
  }
  return true;
}

std::optional<Pair> pair_of(const Graph& graph, const Node& node) {
  if (!node.is("Mul")) return std::nullopt;
  for (const size_t first : {0u, 1u}) {
    const Node* silu = made_by(graph, node.inputs[first], "Swish");
    if (silu == nullptr || silu->float_or("alpha", 1.0f) != 1.0f) continue;
    for (const auto& [op, domain] : {std::pair("MatMul", ""), {"MatMulNBits", "com.microsoft"}}) {
      const Pair pair = {made_by(graph, silu->inputs[0], op, domain),
                         made_by(graph, node.inputs[1 - first], op, domain)};
      if (pair.gate == nullptr || pair.up == nullptr || !are_alike(*pair.gate, *pair.up)) continue;
      // Matrices, not a batch of them.
      const Value* b = pair.gate->input(1);
      if (b == nullptr || (domain[0] == '\0' && b->constant->dims.size() != 2)) continue;
      return pair;
    }
  }
  return std::nullopt;
}

Result<void> join(Graph& graph, Node& node, const Pair& pair) {
  const bool packed = !pair.gate->domain.empty();
  std::vector<Value*> inputs = {pair.gate->inputs[0]};
  const size_t each = packed ? 3 : 1;
  for (const Node* product : {pair.gate, pair.up}) {
    for (size_t i = 1; i <= each; ++i) inputs.push_back(product->input(i));
  }
  while (inputs.back() == nullptr) inputs.pop_back();
  Node* made = graph.add_node(packed ? "GatedMatMulNBits" : "GatedMatMul", std::move(inputs), 1,
                              &node, "quern", 1);
  made->name = pair.up->name;
  for (const char* name : {"K", "N", "bits", "block_size"}) {
    if (packed)
      made->attributes[name] = pair.up->int_or(name, std::string_view(name) == "bits" ? 4 : 0);
  }
  QUERN_TRY(infer_node(*made));
  graph.replace_uses(node.outputs[0], made->outputs[0]);
  return {};
}

}  // namespace

Result<void> join_gates(Graph& graph, PassReport& report) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    for (Graph* body : node.subgraphs()) QUERN_TRY(join_gates(*body, report));
    if (const auto pair = pair_of(graph, node)) {
      QUERN_TRY(join(graph, node, *pair));
      ++report.hits["joined gates"];
      ++i;  // past what was put before the node
    }
  }
  return {};
}

}  // namespace quern
