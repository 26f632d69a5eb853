// LeakyRelu: x, times alpha below zero.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_leaky_relu;
const OpDef op_leaky_relu = {
    .name = "LeakyRelu",
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const Expr alpha = attribute_number(c, "alpha", 0.01f, x);
      return c.b.select(c.b.lt(x, zero(c.b, x)), c.b.mul(x, alpha), x);
    },
};

}  // namespace quern
