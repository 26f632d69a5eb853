// Sqrt: square root; NaN below zero.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_sqrt;
const OpDef op_sqrt = {
    .name = "Sqrt",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kSqrt>,
};

}  // namespace quern
