// Relu: max(x, 0).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_relu;
const OpDef op_relu = {
    .name = "Relu",
    .types = kFloats | types_of(DType::kI8, DType::kI16, DType::kI32, DType::kI64),
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      return c.b.max(x, zero(c.b, x));
    },
};

}  // namespace quern
