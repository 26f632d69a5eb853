#include "ops/common/conv.h"

namespace quern {

Result<void> infer_conv(InferContext& ctx, size_t weights, DType type) {
  const Shape* x = ctx.shape(0);
  const Shape* w = ctx.shape(weights);
  if (x == nullptr) {
    ctx.set(0, type, std::nullopt);
    return {};
  }
  if (x->size() < 3) return ctx.error(cat("input ", *x, " has no spatial axis"));
  QUERN_TRY(ctx.expect_rank(weights, x->size()));
  const size_t rank = x->size() - 2;
  QUERN_ASSIGN(Window window, read_window(ctx.node(), rank));
  const int64_t groups = ctx.node().int_or("group", 1);
  if (groups < 1) return ctx.error(cat("group is ", groups));
  if (w != nullptr && proven_equal((*x)[1], (*w)[1] * groups) == false) {
    return ctx.error(cat("input ", *x, " and weights ", *w, " don't fit ", groups, " groups"));
  }
  Shape y = {(*x)[0], w != nullptr ? (*w)[0] : ctx.fresh_dim(0, 1)};
  for (size_t i = 0; i < rank; ++i) {
    if (w == nullptr && window.kernel.empty()) {
      y.push_back(ctx.fresh_dim(0, i + 2));
      continue;
    }
    const Dim kernel = w != nullptr ? (*w)[i + 2] : Dim(window.kernel[i]);
    if (!window.kernel.empty() && proven_equal(kernel, window.kernel[i]) == false) {
      return ctx.error(cat("kernel_shape and weights ", *w, " differ"));
    }
    const Dim output = window_axis(window, i, (*x)[i + 2], kernel).output;
    if (output.upper() < 0) {
      return ctx.error(
          cat("kernel of ", kernel, " along axis ", i + 2, " does not fit input ", *x));
    }
    y.push_back(output);
  }
  ctx.set(0, type, std::move(y));
  return {};
}

Result<Expr> conv_sum(ExprContext& ctx, const std::function<Result<Expr>(Expr)>& of_x,
                      const std::function<Result<Expr>(Expr)>& of_w) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx));
  const Expr channel = b.loop();
  std::vector<Expr> taps;
  for (size_t i = 0; i < s.rank(); ++i) taps.push_back(b.loop());
  std::vector<Expr> at_x = {ctx.index(0), channel};
  if (s.groups > 1) {
    const Expr group = b.div(ctx.index(1), ctx.derived(s.out_channels, ctx.input(1).is_baked(0)));
    at_x[1] = b.add(b.mul(group, ctx.dim(1, 1)), channel);
  }
  std::vector<Expr> at_w = {ctx.index(1), channel};
  Expr inside = b.boolean(true);
  for (size_t i = 0; i < s.rank(); ++i) {
    const bool baked = ctx.input(0).is_baked(i + 2) && ctx.input(1).is_baked(i + 2);
    const bool fixed_pad = ctx.node().string_or("auto_pad", "NOTSET") == "NOTSET" || baked;
    const Expr origin =
        b.sub(b.mul(ctx.index(i + 2), b.i32(s.strides[i])), ctx.derived(s.pads[i], fixed_pad));
    const Expr at = b.add(origin, b.mul(taps[i], b.i32(s.dilations[i])));
    const Expr last = b.sub(ctx.dim(0, i + 2), b.i32(1));
    inside =
        b.logical_and(inside, b.logical_and(b.lt(b.i32(-1), at), b.binary(ExprOp::kLe, at, last)));
    at_x.push_back(b.max(b.min(at, last), b.i32(0)));
    at_w.push_back(taps[i]);
  }
  QUERN_ASSIGN(Expr x, ctx.load(0, at_x));
  QUERN_ASSIGN(Expr w, ctx.load(1, at_w));
  QUERN_ASSIGN(x, of_x(x));
  QUERN_ASSIGN(w, of_w(w));
  Expr sum = b.mul(b.select(inside, x, b.number(x, 0)), w);
  for (size_t i = s.rank(); i-- > 0;) {
    sum = b.reduce(ExprOp::kReduceSum, taps[i], ctx.dim(1, i + 2), sum);
  }
  return b.reduce(ExprOp::kReduceSum, channel, ctx.dim(1, 1), sum);
}

}  // namespace quern
