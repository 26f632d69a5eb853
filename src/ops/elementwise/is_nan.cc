// IsNaN: is it not a number?
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_is_nan;
const OpDef op_is_nan = {
    .name = "IsNaN",
    .since = 9,
    .types = kFloats | kFloat8,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_compare(c); },
    .expr = unary_expr<ExprOp::kIsNan>,
};

}  // namespace quern
