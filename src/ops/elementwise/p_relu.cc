// PRelu: x, times the slope below zero; the slope broadcasts to x.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_p_relu;
const OpDef op_p_relu = {
    .name = "PRelu",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats | types_of(DType::kI32, DType::kI64, DType::kU32, DType::kU64),
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      QUERN_ASSIGN(Expr slope, c.load_broadcast(1));
      return c.b.select(c.b.lt(x, zero(c.b, x)), c.b.mul(x, slope), x);
    },
};

}  // namespace quern
