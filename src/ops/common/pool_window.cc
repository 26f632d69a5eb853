#include "ops/common/pool_window.h"

namespace quern {

Result<PoolWindow> pool_window(ExprContext& ctx) {
  ExprBuilder& b = ctx.b;
  const size_t rank = ctx.input(0).rank() - 2;
  QUERN_ASSIGN(Window node, read_window(ctx.node(), rank));
  PoolWindow w;
  w.kernel = node.kernel;
  w.dilations = node.dilations;
  for (size_t i = 0; i < rank; ++i) {
    const bool fixed = node.auto_pad == AutoPad::kNotSet || ctx.input(0).is_baked(i + 2);
    const WindowAxis axis = window_axis(node, i, ctx.input(0).dims[i + 2], node.kernel[i]);
    const Expr zero = b.i32(0);
    const Expr dilation = b.i32(node.dilations[i]);
    const Expr size = ctx.dim(0, i + 2);
    const Expr origin = b.sub(b.mul(ctx.index(i + 2), b.i32(node.strides[i])),
                              ctx.derived(axis.pad_begin.value(), fixed));
    const Expr top = b.i32(node.kernel[i] - 1);
    // Quotients of numbers that are not negative: integer division truncates.
    const Expr before = b.max(b.sub(zero, origin), zero);
    const Expr room = b.max(b.sub(b.sub(size, b.i32(1)), origin), zero);
    const Expr padded_room =
        b.add(b.sub(b.sub(size, b.i32(1)), origin), ctx.derived(axis.pad_end.value(), fixed));
    w.origin.push_back(origin);
    w.first.push_back(b.div(b.add(before, b.i32(node.dilations[i] - 1)), dilation));
    w.last.push_back(b.min(b.div(room, dilation), top));
    w.padded.push_back(b.add(b.min(b.div(b.max(padded_room, zero), dilation), top), b.i32(1)));
  }
  return w;
}

Result<Expr> load_nearest_tap(ExprContext& ctx, const PoolWindow& window,
                              const std::vector<Expr>& tap, std::vector<Expr>* at) {
  ExprBuilder& b = ctx.b;
  std::vector<Expr> index = {ctx.index(0), ctx.index(1)};
  for (size_t i = 0; i < window.rank(); ++i) {
    const Expr inside = b.max(b.min(tap[i], window.last[i]), window.first[i]);
    const Expr position = b.add(window.origin[i], b.mul(inside, b.i32(window.dilations[i])));
    // A window without a tap inside (hostile pads) must not load outside.
    const Expr end = b.sub(ctx.dim(0, i + 2), b.i32(1));
    index.push_back(b.max(b.min(position, end), b.i32(0)));
  }
  if (at != nullptr) *at = index;
  return ctx.load(0, index);
}

Result<Expr> sum_of_taps(ExprContext& ctx, const PoolWindow& window,
                         Expr (*term)(ExprBuilder& b, Expr x, double p), double p) {
  ExprBuilder& b = ctx.b;
  std::vector<Expr> taps;
  Expr inside = b.boolean(true);
  for (size_t i = 0; i < window.rank(); ++i) {
    taps.push_back(b.loop());
    inside = b.logical_and(inside, b.logical_not(b.lt(taps[i], window.first[i])));
    inside = b.logical_and(inside, b.logical_not(b.lt(window.last[i], taps[i])));
  }
  QUERN_ASSIGN(Expr x, load_nearest_tap(ctx, window, taps));
  Expr sum = b.select(inside, term(b, x, p), b.number(x, 0));
  for (size_t i = window.rank(); i-- > 0;) {
    sum = b.reduce(ExprOp::kReduceSum, taps[i], b.i32(window.kernel[i]), sum);
  }
  return sum;
}

}  // namespace quern
