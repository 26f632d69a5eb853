// Static facts about a graph that the walk needs, found once at load.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

/// Where values are wanted and what never changes. Vectors are indexed by Value::id or Node::id.
struct Placement {
  /// The host needs the contents: a shape operand, a condition, a trip count, or what one of
  /// those is computed from.
  std::vector<uint8_t> host_needed;
  /// The node is shape arithmetic: it runs on the host, from values that the host has.
  std::vector<uint8_t> host_node;
  /// The value depends on constants alone; what large ones become is computed once at load.
  std::vector<uint8_t> constant;
  /// The value is of type f32, but its elements lie in device memory as f16 (passes/narrow.h).
  std::vector<uint8_t> narrow;
  /// Weights (their numbers) that one node of the load program reads and nothing else ever will:
  /// they are freed after it. Set where the graph is the session's only one.
  std::set<uint32_t> load_only;
  /// Numbers of the graph inputs whose contents the host needs, ascending.
  std::vector<uint32_t> host_inputs;

  /// The element type of a value in device memory.
  [[nodiscard]] DType stored(const Value& value) const {
    return is_narrow(value) ? DType::kF16 : value.type.dtype;
  }
  [[nodiscard]] bool is_narrow(const Value& value) const {
    return value.id < narrow.size() && narrow[value.id] != 0;
  }
};

/// Does it take or give strings? They are on the host on every device, and so is what works on
/// them.
bool has_strings(const Node& node);

/// Looks at the graph and all its subgraphs. Operators must be known (find_op).
Placement place(Graph& graph);

/// What Placement::load_only says, where no other graph reads the same weights.
std::set<uint32_t> load_only_weights(Graph& graph, const Placement& placement);

/// Is a result of the load program kept for runs, not only for other nodes of it?
bool is_used_by_run(const Value& value, const Placement& placement);

}  // namespace quern
