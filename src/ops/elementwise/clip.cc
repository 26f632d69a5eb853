// Clip: min(max(x, low), high); bounds are attributes before operator set 11.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"min", AttributeKind::kFloat},
                                          {"max", AttributeKind::kFloat}};

/// `x`, bounded by the attribute or input, where there is one.
Result<Expr> bounded(ExprContext& c, Expr x, ExprOp op, std::string_view name, size_t input) {
  if (c.version() < 11) {
    if (c.node().attribute(name) == nullptr) return x;
    return c.b.binary(op, x, attribute_number(c, name, 0, x));
  }
  if (!c.has_input(input)) return x;
  QUERN_ASSIGN(Expr bound, scalar_input(c, input));
  return c.b.binary(op, x, bound);
}

}  // namespace

extern const OpDef op_clip;
const OpDef op_clip = {
    .name = "Clip",
    .max_inputs = 3,
    .types = kNumeric,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_TRY(expect_same_type(c, 0, 1));
      QUERN_TRY(expect_same_type(c, 0, 2));
      return infer_same(c);
    },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      QUERN_ASSIGN(x, bounded(c, x, ExprOp::kMax, "min", 1));
      return bounded(c, x, ExprOp::kMin, "max", 2);
    },
};

}  // namespace quern
