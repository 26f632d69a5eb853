// quern.Requantize, made by expansions: sums of products, in i32, times a scale, rounded, plus a
// zero point whose type is the output's. Scale and zero point broadcast to the sums.
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& ctx) {
  ctx.set(0, ctx.dtype(2), ctx.type(0).shape);
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(Expr x, ctx.load_broadcast(0));
  QUERN_ASSIGN(Expr scale, ctx.load_broadcast(1));
  QUERN_ASSIGN(Expr zero, ctx.load_broadcast(2));
  return round_to_integer(b, b.mul(b.cast(x, b.type_of(scale)), scale), zero, ctx.output(0).dtype);
}

}  // namespace

extern const OpDef op_requantize;
const OpDef op_requantize = {
    .name = "Requantize",
    .domain = "quern",
    .since = 0,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = type_bit(DType::kI32),
    .is_elementwise = true,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
