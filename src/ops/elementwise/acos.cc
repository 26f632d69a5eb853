// Acos: arc cosine.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_acos;
const OpDef op_acos = {
    .name = "Acos",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kAcos>,
};

}  // namespace quern
