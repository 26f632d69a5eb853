// The graph's invariants.
#pragma once
#include "ir/graph.h"
namespace quern {
/// Checks: topological order; one producer each; uses lists exact; inputs in scope (this graph
/// or an enclosing one, defined before); output values owned by the node's graph; constants
/// whose bytes match type and dims; no null outputs; unique value ids. An error names the node.
Result<void> verify(const Graph& graph);
}  // namespace quern
