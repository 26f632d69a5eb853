// What MatMul and quern.MatMul share.
#pragma once

#include "base/result.h"
#include "ir/op_context.h"
#include "shader/lower.h"

namespace quern {

Result<void> infer_matmul(InferContext& ctx);
Result<Expr> matmul_expr(ExprContext& ctx, size_t output);
Result<void> lower_matmul(LowerContext& ctx);

}  // namespace quern
