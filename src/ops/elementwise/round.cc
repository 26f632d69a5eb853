// Round: rounds to the nearest integer, halves to even.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_round;
const OpDef op_round = {
    .name = "Round",
    .since = 11,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kRound>,
};

}  // namespace quern
