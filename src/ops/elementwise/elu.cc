// Elu: x, or alpha * (exp(x) - 1) below zero.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_elu;
const OpDef op_elu = {
    .name = "Elu",
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const Expr alpha = attribute_number(c, "alpha", 1.0f, x);
      const Expr below = c.b.mul(alpha, c.b.unary(ExprOp::kExpm1, x));
      return c.b.select(c.b.lt(x, zero(c.b, x)), below, x);
    },
};

}  // namespace quern
