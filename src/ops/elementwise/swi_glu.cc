// SwiGLU: a * sigmoid(alpha * a) * b.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_swi_glu;
const OpDef op_swi_glu = {
    .name = "SwiGLU",
    .since = 28,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      QUERN_ASSIGN(Expr y, c.load_broadcast(1));
      const Expr alpha = attribute_number(c, "alpha", 1.0f, x);
      return c.b.mul(c.b.mul(x, sigmoid(c.b, c.b.mul(alpha, x))), y);
    },
};

}  // namespace quern
