// Tanh: hyperbolic tangent.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_tanh;
const OpDef op_tanh = {
    .name = "Tanh",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kTanh>,
};

}  // namespace quern
