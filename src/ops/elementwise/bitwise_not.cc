// BitwiseNot: ~x.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_bitwise_not;
const OpDef op_bitwise_not = {
    .name = "BitwiseNot",
    .since = 18,
    .types = kInts,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kBitNot>,
};

}  // namespace quern
