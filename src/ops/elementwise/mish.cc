// Mish: x * tanh(log(1 + exp(x))).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_mish;
const OpDef op_mish = {
    .name = "Mish",
    .since = 18,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      return c.b.mul(x, c.b.unary(ExprOp::kTanh, softplus(c.b, x)));
    },
};

}  // namespace quern
