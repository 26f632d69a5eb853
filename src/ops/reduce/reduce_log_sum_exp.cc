// ReduceLogSumExp: the logarithm of the sum of exponentials over axes. The largest element is taken
// out first, so that nothing overflows.
#include "ops/common/exprs.h"
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Expr as_float(ExprBuilder& b, Expr x) { return b.cast(x, float_type_for(b.type_of(x))); }

Result<Expr> log_sum_exp(ExprContext& c, size_t) {
  QUERN_ASSIGN(Reduction r, reduction_of(c, 18));
  const Scalar type = compute_type(c.input(0).dtype);
  QUERN_ASSIGN(Expr largest,
               reduce_axes(c, 0, r.index, r.axes, ExprOp::kReduceMax,
                           [](ExprBuilder& b, Expr x, Expr) { return as_float(b, x); }));
  // Infinity minus infinity is not a number; exp(inf) needs no help.
  const Expr is_infinite = c.b.unary(ExprOp::kIsInf, largest);
  const Expr shift = c.b.select(is_infinite, zero(c.b, largest), largest);
  QUERN_ASSIGN(Expr sum, reduce_axes(
                             c, 0, r.index, r.axes, ExprOp::kReduceSum,
                             [](ExprBuilder& b, Expr x, Expr s) {
                               return b.unary(ExprOp::kExp, b.sub(as_float(b, x), s));
                             },
                             shift));
  return c.b.cast(c.b.add(c.b.unary(ExprOp::kLog, sum), shift), type);
}

}  // namespace

extern const OpDef op_reduce_log_sum_exp;
const OpDef op_reduce_log_sum_exp = {
    .name = "ReduceLogSumExp",
    .max_inputs = 2,
    .types = kReduceTypes,
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_reduce18,
    .expr = log_sum_exp,
};

}  // namespace quern
