// Exp: e to the power of x.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_exp;
const OpDef op_exp = {
    .name = "Exp",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kExp>,
};

}  // namespace quern
