// FastGelu: Gelu approximated by tanh, of x plus an optional bias along the last axis.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_fast_gelu;
const OpDef op_fast_gelu = {
    .name = "FastGelu",
    .domain = "com.microsoft",
    .min_inputs = 1,
    .max_inputs = 2,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      if (c.has_input(1)) {
        QUERN_ASSIGN(Expr bias, c.load_broadcast(1));
        x = c.b.add(x, bias);
      }
      return gelu_tanh(c.b, x);
    },
};

}  // namespace quern
