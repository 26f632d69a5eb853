// LRN: elements over a power of the square sum of neighbouring channels.
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"alpha", AttributeKind::kFloat},
    {"beta", AttributeKind::kFloat},
    {"bias", AttributeKind::kFloat},
    {"size", AttributeKind::kInt, true},
};

Result<void> infer(InferContext& ctx) {
  if (ctx.node().int_or("size", 0) < 1) return ctx.error("size must be positive");
  if (ctx.shape(0) != nullptr && ctx.shape(0)->size() < 2) {
    return ctx.error(cat("input ", *ctx.shape(0), " has no channel axis"));
  }
  ctx.set(0, ctx.type(0));
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const int64_t size = ctx.node().int_or("size", 1);
  const Expr step = b.loop();
  // Channels c - floor((size - 1) / 2) .. c + ceil((size - 1) / 2).
  const Expr channel = b.add(ctx.index(1), b.sub(step, b.i32((size - 1) / 2)));
  const Expr last = b.sub(ctx.dim(0, 1), b.i32(1));
  const Expr inside = b.logical_and(b.lt(b.i32(-1), channel), b.binary(ExprOp::kLe, channel, last));
  std::vector<Expr> at = ctx.indices();
  at[1] = b.max(b.min(channel, last), b.i32(0));
  QUERN_ASSIGN(Expr neighbour, ctx.load(0, at));
  QUERN_ASSIGN(Expr x, ctx.load(0, ctx.indices()));
  const Expr square = b.select(inside, b.mul(neighbour, neighbour), b.number(x, 0));
  const Expr sum = b.reduce(ExprOp::kReduceSum, step, b.i32(size), square);
  const double alpha = static_cast<double>(ctx.node().float_or("alpha", 1e-4f));
  const double bias = static_cast<double>(ctx.node().float_or("bias", 1.0f));
  const double beta = static_cast<double>(ctx.node().float_or("beta", 0.75f));
  const Expr base =
      b.add(b.number(x, bias), b.mul(b.number(x, alpha / static_cast<double>(size)), sum));
  return b.div(x, b.binary(ExprOp::kPow, base, b.number(x, beta)));
}

}  // namespace

extern const OpDef op_lrn;
const OpDef op_lrn = {
    .name = "LRN",
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
