// ReduceSumSquare: the sum of squares over axes.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_sum_square;
const OpDef op_reduce_sum_square = {
    .name = "ReduceSumSquare",
    .max_inputs = 2,
    .types = kReduceTypes,
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_reduce18,
    .expr =
        [](ExprContext& c, size_t) {
          return reduce_expr(c, 18, ExprOp::kReduceSum,
                             [](ExprBuilder& b, Expr x, Expr) { return b.mul(x, x); });
        },
};

}  // namespace quern
