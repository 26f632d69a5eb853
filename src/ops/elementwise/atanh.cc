// Atanh: inverse hyperbolic tangent.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_atanh;
const OpDef op_atanh = {
    .name = "Atanh",
    .since = 9,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kAtanh>,
};

}  // namespace quern
