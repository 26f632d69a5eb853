// Erf: the error function; of integers too, truncated.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_erf;
const OpDef op_erf = {
    .name = "Erf",
    .since = 9,
    .types = kNumeric,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const Scalar type = c.b.type_of(x);
      if (!is_float(c.input(0).dtype)) x = c.b.cast(x, Scalar::kF32);
      return c.b.cast(c.b.unary(ExprOp::kErf, x), type);
    },
};

}  // namespace quern
