// Operators that only move elements: their expression, run on the elements' numbers instead of the
// elements, says where each output element comes from. So strings and complex numbers, which
// expressions can't hold, and the symbolic contents of shape arithmetic are moved by the same
// definition that makes the kernel.
#pragma once

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// Sets the contents of all outputs from those of the inputs in the bit set `data`, where these
/// and all other inputs' contents are known. Output types must be set.
Result<void> infer_moved_contents(InferContext& c, uint64_t data = 1);

/// For OpDef::eval: every element type.
Result<void> eval_moved(EvalContext& c);
/// One output by the node's expression; the frame's host tensors are the inputs.
Result<HostTensor> evaluate_output(const OpFrame& frame, uint32_t output);
/// All outputs by the node's expression.
Result<void> eval_by_expr(EvalContext& c);

}  // namespace quern
