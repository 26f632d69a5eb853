// The passes over a graph, listed once.
#pragma once

#include <map>
#include <set>
#include <string>

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

/// What the passes did, for the report and for tests that lock it.
struct PassReport {
  std::map<std::string, int, std::less<>> hits;  ///< "attention" -> 2, "fused" -> 40
};

struct PassOptions {
  bool optimise = true;  ///< false: inference and what execution needs only
  /// Storage buffers of a dispatch on the target: what fusion must keep within.
  uint32_t max_storage_buffers = 8;
  /// A dispatch costs the target as much as a small product: nodes join where that needs fewer.
  bool few_dispatches = false;
  /// Runs the verifier after each pass (test builds).
  bool verify_each = false;
};

/// The outputs of the graph and of all its bodies: a body may give a value of an outer graph as it
/// is, which its uses don't say.
std::set<const Value*> body_outputs(Graph& graph);
/// Does one node of the graph read the value, and nothing else?
bool is_used_once(const Graph& graph, const Value& value);
/// The node of this graph that makes the value (null: none), if it is that operator; else null.
Node* maker_in(const Graph& graph, const Value* value, std::string_view op,
               std::string_view domain = "");

/// Infers types, symbolic shapes and contents through the graph and its bodies.
Result<void> infer_shapes(Graph& graph);
/// The same for one node, and the bodies in it, from its inputs' types.
Result<void> infer_node(Node& node);

/// The passes in order: see the table in passes.cc.
Result<void> run_passes(Graph& graph, const PassOptions& options, PassReport& report);

// Each pass, for tests.
Result<void> fold_constants(Graph& graph, PassReport& report);
Result<void> remove_dead_code(Graph& graph, PassReport& report);
Result<void> merge_common_subexpressions(Graph& graph, PassReport& report);
/// Finds attention, LayerNorm, RMSNorm, GELU, SiLU, ... in decomposed exports.
Result<void> recognise(Graph& graph, PassReport& report);
/// BatchNormalization after a convolution with constant weights goes into them.
Result<void> fold_batch_norm(Graph& graph, PassReport& report);
/// Transposes behind each other become one, or none.
Result<void> merge_transposes(Graph& graph, PassReport& report);
/// The same for those that meet once they have passed the operators between them.
Result<void> move_transposes(Graph& graph, PassReport& report);
/// The products that give a GroupQueryAttention queries, keys and values become one.
Result<void> pack_products(Graph& graph, PassReport& report);
/// Transposes that split and merge heads around an attention, and packed projections, become ways
/// in which it reads and writes.
Result<void> join_heads(Graph& graph, PassReport& report);
/// The products that give such an attention queries, keys and values become one.
Result<void> pack_heads(Graph& graph, PassReport& report);
/// The rotations and the appending to caches before an attention over them become one node.
Result<void> join_appends(Graph& graph, PassReport& report);
/// Two products of one input of which one gates the other become one node.
Result<void> join_gates(Graph& graph, PassReport& report);
/// Ops that this target has no kernel for become simpler ones by OpDef::expand.
Result<void> expand_ops(Graph& graph, PassReport& report);
/// Elementwise and movement ops join their neighbours in quern.Fused nodes.
Result<void> fuse(Graph& graph, uint32_t max_storage_buffers, PassReport& report);

}  // namespace quern
