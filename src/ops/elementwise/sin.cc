// Sin: sine of radians.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_sin;
const OpDef op_sin = {
    .name = "Sin",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kSin>,
};

}  // namespace quern
