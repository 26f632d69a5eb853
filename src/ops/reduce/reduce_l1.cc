// ReduceL1: the sum of magnitudes over axes.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_l1;
const OpDef op_reduce_l1 = {
    .name = "ReduceL1",
    .max_inputs = 2,
    .types = kReduceTypes,
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_reduce18,
    .expr =
        [](ExprContext& c, size_t) {
          return reduce_expr(c, 18, ExprOp::kReduceSum,
                             [](ExprBuilder& b, Expr x, Expr) { return b.unary(ExprOp::kAbs, x); });
        },
};

}  // namespace quern
