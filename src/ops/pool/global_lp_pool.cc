// GlobalLpPool: the p-norm of each channel over all spatial axes.
#include "ops/common/global_pool.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"p", AttributeKind::kInt}};

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const int64_t p = c.node().int_or("p", 2);
  if (p < 1) return c.error(cat("p is ", p, " where a positive number is expected"));
  const auto axes = spatial_axes(c.input(0).rank());
  const Expr power = b.constant(compute_type(c.input(0).dtype), static_cast<double>(p));
  ReduceBody body = [](ExprBuilder& e, Expr x, Expr extra) {
    return e.binary(ExprOp::kPow, e.unary(ExprOp::kAbs, x), extra);
  };
  if (p == 1) body = [](ExprBuilder& e, Expr x, Expr) { return e.unary(ExprOp::kAbs, x); };
  if (p == 2) body = [](ExprBuilder& e, Expr x, Expr) { return e.mul(x, x); };
  QUERN_ASSIGN(Expr sum, reduce_axes(c, 0, c.indices(), axes, ExprOp::kReduceSum, body, power));
  if (p == 1) return sum;
  if (p == 2) return b.unary(ExprOp::kSqrt, sum);
  return b.binary(ExprOp::kPow, sum, b.number(sum, 1.0 / static_cast<double>(p)));
}

}  // namespace

extern const OpDef op_global_lp_pool;
const OpDef op_global_lp_pool = {
    .name = "GlobalLpPool",
    .since = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_global_pool,
    .expr = expr,
};

}  // namespace quern
