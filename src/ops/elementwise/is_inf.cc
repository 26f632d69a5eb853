// IsInf: is it infinite, of a sign that is asked for?
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"detect_negative", AttributeKind::kInt},
                                          {"detect_positive", AttributeKind::kInt}};

}  // namespace

extern const OpDef op_is_inf;
const OpDef op_is_inf = {
    .name = "IsInf",
    .since = 10,
    .types = kFloats | kFloat8,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_compare(c); },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      const bool negative = c.node().int_or("detect_negative", 1) != 0;
      const bool positive = c.node().int_or("detect_positive", 1) != 0;
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const Expr infinite = c.b.unary(ExprOp::kIsInf, x);
      if (negative && positive) return infinite;
      if (!negative && !positive) return c.b.boolean(false);
      const Expr sign = negative ? c.b.lt(x, zero(c.b, x)) : c.b.lt(zero(c.b, x), x);
      return c.b.logical_and(infinite, sign);
    },
};

}  // namespace quern
