// Ceil: rounds toward infinity.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_ceil;
const OpDef op_ceil = {
    .name = "Ceil",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kCeil>,
};

}  // namespace quern
