// Sinh: hyperbolic sine.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_sinh;
const OpDef op_sinh = {
    .name = "Sinh",
    .since = 9,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kSinh>,
};

}  // namespace quern
