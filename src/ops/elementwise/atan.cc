// Atan: arc tangent.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_atan;
const OpDef op_atan = {
    .name = "Atan",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kAtan>,
};

}  // namespace quern
