// BiasGelu: Gelu of the sum of a tensor and a bias along its last axis.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_bias_gelu;
const OpDef op_bias_gelu = {
    .name = "BiasGelu",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c); },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      QUERN_ASSIGN(Expr bias, c.load_broadcast(1));
      return gelu(c.b, c.b.add(x, bias));
    },
};

}  // namespace quern
