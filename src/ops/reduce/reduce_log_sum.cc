// ReduceLogSum: the logarithm of the sum over axes.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_log_sum;
const OpDef op_reduce_log_sum = {
    .name = "ReduceLogSum",
    .max_inputs = 2,
    .types = kReduceTypes,
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_reduce18,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr sum, reduce_expr(c, 18, ExprOp::kReduceSum));
      const Scalar type = c.b.type_of(sum);
      return c.b.cast(c.b.unary(ExprOp::kLog, c.b.cast(sum, float_type_for(type))), type);
    },
};

}  // namespace quern
