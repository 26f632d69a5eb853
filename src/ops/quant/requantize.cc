// quern.Requantize, made by expansions: sums of products in i32 to a quantised type.
// Inputs: x, the scales of both operands and of the result, and the result's zero point (whose
// type is the output's); all broadcast to x.
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& ctx) {
  ctx.set(0, ctx.dtype(4), ctx.type(0).shape);
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(Expr x, ctx.load_broadcast(0));
  QUERN_ASSIGN(Expr left, ctx.load_broadcast(1));
  QUERN_ASSIGN(Expr right, ctx.load_broadcast(2));
  QUERN_ASSIGN(Expr result, ctx.load_broadcast(3));
  QUERN_ASSIGN(Expr zero, ctx.load_broadcast(4));
  // Scales are combined in their own type.
  const DType type = ctx.input(3).dtype;
  Expr scale = b.narrow(b.div(b.narrow(b.mul(left, right), type), result), type);
  return round_to_integer(b, b.mul(b.cast(x, b.type_of(scale)), scale), zero, ctx.output(0).dtype);
}

}  // namespace

extern const OpDef op_requantize;
const OpDef op_requantize = {
    .name = "Requantize",
    .domain = "quern",
    .since = 0,
    .min_inputs = 5,
    .max_inputs = 5,
    .types = type_bit(DType::kI32),
    .is_elementwise = true,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
