// Cosh: hyperbolic cosine.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_cosh;
const OpDef op_cosh = {
    .name = "Cosh",
    .since = 9,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kCosh>,
};

}  // namespace quern
