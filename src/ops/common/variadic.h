// Operators of any number of inputs on devices that bind only a few buffers.
#pragma once

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

/// Inputs that one kernel can bind beside its output (WebGPU's default limit is 8 buffers).
inline constexpr size_t kMaxKernelInputs = 7;

/// For OpDef::expand of an associative operator (Sum, Max, Concat): a tree of nodes of the same
/// operator and attributes with at most kMaxKernelInputs inputs each. False where the node has no
/// more than that.
Result<bool> expand_into_tree(Graph& graph, Node& node);

}  // namespace quern
