// Asin: arc sine.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_asin;
const OpDef op_asin = {
    .name = "Asin",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kAsin>,
};

}  // namespace quern
