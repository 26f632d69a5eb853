// LpPool: the p-norm of each window.
#include "ops/common/pool_window.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"auto_pad", AttributeKind::kString}, {"ceil_mode", AttributeKind::kInt},
    {"dilations", AttributeKind::kInts},  {"kernel_shape", AttributeKind::kInts, true},
    {"p", AttributeKind::kInt},           {"pads", AttributeKind::kInts},
    {"strides", AttributeKind::kInts},
};

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(PoolWindow window, pool_window(ctx));
  const int64_t p = ctx.node().int_or("p", 2);
  if (p < 1) return ctx.error(cat("p is ", p));
  QUERN_ASSIGN(Expr sum, sum_of_taps(
                             ctx, window,
                             [](ExprBuilder& e, Expr x, double power) {
                               if (power == 2) return e.mul(x, x);
                               const Expr size = e.unary(ExprOp::kAbs, x);
                               if (power == 1) return size;
                               return e.binary(ExprOp::kPow, size, e.number(x, power));
                             },
                             static_cast<double>(p)));
  if (p == 1) return sum;
  if (p == 2) return b.unary(ExprOp::kSqrt, sum);
  return b.binary(ExprOp::kPow, sum, b.number(sum, 1.0 / static_cast<double>(p)));
}

}  // namespace

extern const OpDef op_lp_pool;
const OpDef op_lp_pool = {
    .name = "LpPool",
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_pool,
    .expr = expr,
};

}  // namespace quern
