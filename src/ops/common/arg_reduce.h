// ArgMax and ArgMin.
#pragma once

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr AttributeField kArgReduceAttributes[] = {
    {"axis", AttributeKind::kInt},
    {"keepdims", AttributeKind::kInt},
    {"select_last_index", AttributeKind::kInt}};

Result<void> infer_arg_reduce(InferContext& c);
/// The index along the node's axis by `first`, or by `last` where select_last_index is set.
Result<Expr> arg_reduce(ExprContext& c, ExprOp first, ExprOp last);

}  // namespace quern
