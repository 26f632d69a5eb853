// Selu: gamma * x, or gamma * alpha * (exp(x) - 1) at and below zero.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat},
                                          {"gamma", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_selu;
const OpDef op_selu = {
    .name = "Selu",
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const Expr alpha = attribute_number(c, "alpha", 1.67326319217681884765625f, x);
      const Expr gamma = attribute_number(c, "gamma", 1.05070102214813232421875f, x);
      const Expr below = c.b.mul(alpha, c.b.unary(ExprOp::kExpm1, x));
      return c.b.mul(gamma, c.b.select(c.b.binary(ExprOp::kLe, x, zero(c.b, x)), below, x));
    },
};

}  // namespace quern
