// Celu: max(0, x) + min(0, alpha * (exp(x / alpha) - 1)).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_celu;
const OpDef op_celu = {
    .name = "Celu",
    .since = 12,
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const Expr alpha = attribute_number(c, "alpha", 1.0f, x);
      const Expr below = c.b.mul(alpha, c.b.unary(ExprOp::kExpm1, c.b.div(x, alpha)));
      return c.b.add(c.b.max(x, zero(c.b, x)), c.b.min(below, zero(c.b, x)));
    },
};

}  // namespace quern
