// Of a GroupQueryAttention over packed queries, keys and values: the rotations of queries and keys
// and the two nodes that append to caches become one (quern.RotateAppend). In a decoder's step each
// of the four is a dispatch of a few microseconds.

#include <optional>

#include "ops/common/expansion.h"
#include "passes/passes.h"

namespace quern {
namespace {

constexpr int kOpset = 23;

struct Parts {
  Node* query = nullptr;  ///< Rotary
  Node* key = nullptr;    ///< Rotary
  Node* keys = nullptr;   ///< AppendCache
  Node* values = nullptr;
  int64_t heads = 0, kv_heads = 0;
};

Node* made_by(const Graph& graph, const Value* value, std::string_view op) {
  return value != nullptr && value->uses.size() == 1 ? maker_in(graph, value, op, "quern")
                                                     : nullptr;
}

/// Rotates rows of packed heads as they lie, by the positions that appending goes by.
bool is_rotation(const Node& node, const Node& append) {
  return node.int_or("rows_first_in", 0) != 0 && node.int_or("rows_first_out", 0) != 0 &&
         node.int_or("starts", 0) != 0 && node.input(1) == append.input(2);
}

std::optional<Parts> parts_of(const Graph& graph, const Node& attention) {
  if (!attention.is("Attention", "quern")) return std::nullopt;
  Parts p;
  p.query = made_by(graph, attention.input(0), "Rotary");
  p.keys = made_by(graph, attention.input(1), "AppendCache");
  p.values = made_by(graph, attention.input(2), "AppendCache");
  if (p.query == nullptr || p.keys == nullptr || p.values == nullptr) return std::nullopt;
  p.key = made_by(graph, p.keys->input(1), "Rotary");
  if (p.key == nullptr || graph.is_output(p.query->outputs[0]) ||
      graph.is_output(p.key->outputs[0])) {
    return std::nullopt;
  }
  const Value* x = p.query->input(0);
  if (x != p.key->input(0) || x != p.values->input(1)) return std::nullopt;
  for (size_t i : {2u, 3u}) {
    if (p.keys->input(i) != p.values->input(i)) return std::nullopt;
    if (p.query->input(i) != p.key->input(i)) return std::nullopt;
  }
  if ((p.keys->input(0) == nullptr) != (p.values->input(0) == nullptr) ||
      !is_rotation(*p.query, *p.keys) || !is_rotation(*p.key, *p.keys) ||
      p.query->int_or("interleaved", 0) != p.key->int_or("interleaved", 0)) {
    return std::nullopt;
  }
  const Type& cos = p.query->input(2)->type;
  const Type& sin = p.query->input(3)->type;
  if (cos.dtype != sin.dtype || !cos.shape || cos.shape != sin.shape) return std::nullopt;
  // Where each lies.
  p.heads = p.query->int_or("heads", 0);
  p.kv_heads = p.key->int_or("heads", 0);
  const bool in_order = p.heads > 0 && p.kv_heads > 0 && p.query->int_or("first_head", 0) == 0 &&
                        p.key->int_or("first_head", 0) == p.heads &&
                        p.values->int_or("first_head", 0) == p.heads + p.kv_heads &&
                        p.values->int_or("heads", 0) == p.kv_heads &&
                        p.keys->attribute("heads") == nullptr;
  return in_order ? std::optional(p) : std::nullopt;
}

Result<void> join(Graph& graph, Node& attention, const Parts& p) {
  Expansion e(graph, attention, kOpset);
  // One table for both: a dispatch binds few tensors. All layers share it.
  Value* table = e.add("Concat", {p.query->input(2), p.query->input(3)}, {{"axis", int64_t{1}}});
  Node* node = graph.add_node("RotateAppend",
                              {p.query->input(0), table, p.keys->input(2), p.keys->input(0),
                               p.values->input(0), p.keys->input(3)},
                              3, &attention, "quern", 1);
  node->attributes["heads"] = p.heads;
  node->attributes["kv_heads"] = p.kv_heads;
  node->attributes["interleaved"] = p.query->int_or("interleaved", 0);
  QUERN_TRY(infer_node(*table->producer));
  QUERN_TRY(infer_node(*node));
  const Node* old[] = {p.query, p.keys, p.values};
  for (size_t i = 0; i < 3; ++i) graph.replace_uses(old[i]->outputs[0], node->outputs[i]);
  return {};
}

}  // namespace

Result<void> join_appends(Graph& graph, PassReport& report) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    for (Graph* body : node.subgraphs()) QUERN_TRY(join_appends(*body, report));
    if (const auto parts = parts_of(graph, node)) {
      QUERN_TRY(join(graph, node, *parts));
      ++report.hits["joined appends"];
    }
  }
  return {};
}

}  // namespace quern
