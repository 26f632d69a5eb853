// Reciprocal: 1 / x.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reciprocal;
const OpDef op_reciprocal = {
    .name = "Reciprocal",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      return c.b.div(one(c.b, x), x);
    },
};

}  // namespace quern
