// BiasAdd: x + bias (along the last axis) + skip.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_bias_add;
const OpDef op_bias_add = {
    .name = "BiasAdd",
    .domain = "com.microsoft",
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kFloats,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c); },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> { return variadic_expr(c, ExprOp::kAdd); },
};

}  // namespace quern
