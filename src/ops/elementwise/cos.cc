// Cos: cosine of radians.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_cos;
const OpDef op_cos = {
    .name = "Cos",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kCos>,
};

}  // namespace quern
