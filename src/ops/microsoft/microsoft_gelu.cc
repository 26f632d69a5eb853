// Gelu as com.microsoft had it before ONNX: by erf.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_microsoft_gelu;
const OpDef op_microsoft_gelu = {
    .name = "Gelu",
    .domain = "com.microsoft",
    .min_inputs = 1,
    .max_inputs = 1,
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      return gelu(c.b, x);
    },
};

}  // namespace quern
