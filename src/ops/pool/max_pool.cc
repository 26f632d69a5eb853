// MaxPool: the maximum of each window, and where it was.
#include "ops/common/pool_window.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"auto_pad", AttributeKind::kString}, {"ceil_mode", AttributeKind::kInt},
    {"dilations", AttributeKind::kInts},  {"kernel_shape", AttributeKind::kInts, true},
    {"pads", AttributeKind::kInts},       {"storage_order", AttributeKind::kInt},
    {"strides", AttributeKind::kInts},
};

/// Where the first maximum is: a flat index into the input, spatial axes in either order.
Result<Expr> indices(ExprContext& ctx, const PoolWindow& window) {
  ExprBuilder& b = ctx.b;
  const auto taps_of = [&](Expr flat) {
    std::vector<Expr> taps(window.rank());
    for (size_t i = window.rank(); i-- > 0;) {
      const Expr kernel = b.i32(window.kernel[i]);
      taps[i] = i == 0 ? flat : b.binary(ExprOp::kRem, flat, kernel);
      flat = b.div(flat, kernel);
    }
    return taps;
  };
  const Expr loop = b.loop();
  QUERN_ASSIGN(Expr x, load_nearest_tap(ctx, window, taps_of(loop)));
  const Expr best = b.reduce(ExprOp::kArgMaxFirst, loop, b.i32(window.taps()), x);
  std::vector<Expr> at;
  QUERN_TRY(load_nearest_tap(ctx, window, taps_of(best), &at));
  const auto wide = [&](Expr e) { return b.cast(e, Scalar::kI64); };
  const bool columns = ctx.node().int_or("storage_order", 0) != 0;
  Expr flat = b.add(b.mul(wide(ctx.index(0)), wide(ctx.dim(0, 1))), wide(ctx.index(1)));
  for (size_t i = 0; i < window.rank(); ++i) {
    const size_t axis = 2 + (columns ? window.rank() - 1 - i : i);
    flat = b.add(b.mul(flat, wide(ctx.dim(0, axis))), wide(at[axis]));
  }
  return flat;
}

Result<Expr> expr(ExprContext& ctx, size_t output) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(PoolWindow window, pool_window(ctx));
  if (output == 1) return indices(ctx, window);
  std::vector<Expr> taps;
  for (size_t i = 0; i < window.rank(); ++i) taps.push_back(b.loop());
  QUERN_ASSIGN(Expr y, load_nearest_tap(ctx, window, taps));
  for (size_t i = window.rank(); i-- > 0;) {
    y = b.reduce(ExprOp::kReduceMax, taps[i], b.i32(window.kernel[i]), y);
  }
  return y;
}

}  // namespace

extern const OpDef op_max_pool;
const OpDef op_max_pool = {
    .name = "MaxPool",
    .max_outputs = 2,
    .types = kFloats | types_of(DType::kI8, DType::kU8),
    .attributes = kAttributes,
    .infer = infer_pool,
    .expr = expr,
};

}  // namespace quern
