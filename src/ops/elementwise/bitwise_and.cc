// BitwiseAnd: a & b.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_bitwise_and;
const OpDef op_bitwise_and = {
    .name = "BitwiseAnd",
    .since = 18,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kInts,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c); },
    .expr = binary_expr<ExprOp::kBitAnd>,
};

}  // namespace quern
