// Shrink: x + bias below -lambd, x - bias above lambd, else 0.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"bias", AttributeKind::kFloat},
                                          {"lambd", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_shrink;
const OpDef op_shrink = {
    .name = "Shrink",
    .since = 9,
    .types = kNumeric,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr input, c.load_broadcast(0));
      // In floats: of integers too, the bias and the bound need not be whole.
      const Scalar type = c.b.type_of(input);
      const Expr x = is_float(c.input(0).dtype) ? input : c.b.cast(input, Scalar::kF32);
      const Expr bias = attribute_number(c, "bias", 0.0f, x);
      const Expr bound = attribute_number(c, "lambd", 0.5f, x);
      const Expr above = c.b.select(c.b.lt(bound, x), c.b.sub(x, bias), zero(c.b, x));
      const Expr below = c.b.lt(x, c.b.unary(ExprOp::kNeg, bound));
      return c.b.cast(c.b.select(below, c.b.add(x, bias), above), type);
    },
};

}  // namespace quern
