// HardSwish: x * max(0, min(1, x / 6 + 0.5)).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_hard_swish;
const OpDef op_hard_swish = {
    .name = "HardSwish",
    .since = 14,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      return c.b.mul(x, hard_sigmoid(c.b, x, 1.0 / 6, 0.5));
    },
};

}  // namespace quern
