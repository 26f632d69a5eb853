// Softsign: x / (1 + |x|).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_softsign;
const OpDef op_softsign = {
    .name = "Softsign",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      return c.b.div(x, c.b.add(one(c.b, x), c.b.unary(ExprOp::kAbs, x)));
    },
};

}  // namespace quern
