// Tan: tangent of radians.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_tan;
const OpDef op_tan = {
    .name = "Tan",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kTan>,
};

}  // namespace quern
