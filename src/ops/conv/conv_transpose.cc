// ConvTranspose: the gradient of a convolution, over any number of spatial axes, with groups.
#include "ops/common/conv_shape.h"
#include "ops/common/gemm.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"auto_pad", AttributeKind::kString},     {"dilations", AttributeKind::kInts},
    {"group", AttributeKind::kInt},           {"kernel_shape", AttributeKind::kInts},
    {"output_padding", AttributeKind::kInts}, {"output_shape", AttributeKind::kInts},
    {"pads", AttributeKind::kInts},           {"strides", AttributeKind::kInts},
};

Result<void> infer(InferContext& ctx) {
  const Shape* x = ctx.shape(0);
  const Shape* w = ctx.shape(1);
  if (x == nullptr) {
    ctx.set(0, ctx.dtype(0), std::nullopt);
    return {};
  }
  if (x->size() < 3) return ctx.error(cat("input ", *x, " has no spatial axis"));
  QUERN_TRY(ctx.expect_rank(1, x->size()));
  const size_t rank = x->size() - 2;
  QUERN_ASSIGN(Window window, read_window(ctx.node(), rank));
  const int64_t groups = ctx.node().int_or("group", 1);
  if (groups < 1) return ctx.error(cat("group is ", groups));
  if (w != nullptr && proven_equal((*x)[1], (*w)[0]) == false) {
    return ctx.error(cat("input ", *x, " and weights ", *w, " differ in channels"));
  }
  Shape y = {(*x)[0], w != nullptr ? (*w)[1] * groups : ctx.fresh_dim(0, 1)};
  for (size_t i = 0; i < rank; ++i) {
    if (w == nullptr && window.kernel.empty()) {
      y.push_back(ctx.fresh_dim(0, i + 2));
      continue;
    }
    const Dim kernel = w != nullptr ? (*w)[i + 2] : Dim(window.kernel[i]);
    QUERN_ASSIGN(TransposedAxis axis,
                 transposed_axis(ctx.node(), window, i, rank, (*x)[i + 2], kernel));
    if (axis.output.upper() < 0) return ctx.error(cat("no output along axis ", i + 2));
    y.push_back(axis.output);
  }
  ctx.set(0, ctx.dtype(0), std::move(y));
  return {};
}

/// The generic form: a sum over channels and taps, of which those count whose input position is
/// whole and inside.
Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx, true));
  const Expr channel = b.loop();
  std::vector<Expr> taps;
  for (size_t i = 0; i < s.rank(); ++i) taps.push_back(b.loop());
  const Expr per_group = ctx.dim(1, 1);
  const Expr group = b.div(ctx.index(1), per_group);
  const Expr in_channels =
      ctx.derived(s.in_channels, ctx.input(0).is_baked(1) || ctx.input(1).is_baked(0));
  const Expr in_channel = b.add(b.mul(group, in_channels), channel);
  std::vector<Expr> at_x = {ctx.index(0), in_channel};
  std::vector<Expr> at_w = {in_channel, b.sub(ctx.index(1), b.mul(group, per_group))};
  Expr inside = b.boolean(true);
  const bool plain =
      ctx.node().string_or("auto_pad", "NOTSET") == "NOTSET" &&
      (ctx.node().ints("output_shape") == nullptr || ctx.node().ints("output_shape")->empty());
  for (size_t i = 0; i < s.rank(); ++i) {
    const bool fixed = plain || (ctx.input(0).is_baked(i + 2) && ctx.input(1).is_baked(i + 2));
    const Expr stride = b.i32(s.strides[i]);
    const Expr shifted = b.sub(b.add(ctx.index(i + 2), ctx.derived(s.pads[i], fixed)),
                               b.mul(taps[i], b.i32(s.dilations[i])));
    const Expr at = b.div(shifted, stride);
    const Expr zero = b.i32(0);
    inside = b.logical_and(inside, b.logical_not(b.lt(shifted, zero)));
    inside = b.logical_and(inside, b.eq(b.mul(at, stride), shifted));
    inside = b.logical_and(inside, b.lt(at, ctx.dim(0, i + 2)));
    at_x.push_back(b.max(b.min(at, b.sub(ctx.dim(0, i + 2), b.i32(1))), zero));
    at_w.push_back(taps[i]);
  }
  QUERN_ASSIGN(Expr x, ctx.load(0, at_x));
  QUERN_ASSIGN(Expr w, ctx.load(1, at_w));
  Expr sum = b.mul(b.select(inside, x, b.number(x, 0)), w);
  for (size_t i = s.rank(); i-- > 0;) {
    sum = b.reduce(ExprOp::kReduceSum, taps[i], ctx.dim(1, i + 2), sum);
  }
  sum = b.reduce(ExprOp::kReduceSum, channel, in_channels, sum);
  if (!ctx.has_input(2)) return sum;
  const Expr at_bias[] = {ctx.index(1)};
  QUERN_ASSIGN(Expr bias, ctx.load(2, at_bias));
  return b.add(sum, bias);
}

struct Config {
  uint32_t wm = 16, wn = 16;
  int64_t kh = 1, kw = 1, sh = 1, sw = 1;
  bool bias = false;
  template <class F>
  void fields(F&& f) const {
    f("WM", wm);
    f("WN", wn);
    f("KH", kh);
    f("KW", kw);
    f("SH", sh);
    f("SW", sw);
    f("BIAS", uint32_t{bias});
  }
};

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(0).dtype)) return unsupported("a convolution of f64");
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx, true));
  if (s.rank() > 2) return unsupported("three spatial axes");
  if (!ctx.input(1).is_baked_from(1)) return unsupported("a kernel of unknown shape");
  s.to_2d();
  if (s.dilations[0] != 1 || s.dilations[1] != 1) return unsupported("dilation");
  QUERN_TRY(check_u32(ctx, ctx.input(0).count()));
  QUERN_TRY(check_u32(ctx, ctx.output(0).count()));
  if (ctx.output(0).count() == 0) return {};
  Config config;
  config.kh = s.kernel[0];
  config.kw = s.kernel[1];
  config.sh = s.strides[0];
  config.sw = s.strides[1];
  config.bias = ctx.has_input(2);
  // Positions of the largest phase.
  const int64_t n =
      ((s.output[0] + config.sh - 1) / config.sh) * ((s.output[1] + config.sw - 1) / config.sw);
  const int64_t parts = s.batch * s.groups * config.sh * config.sw;
  if (s.out_channels <= 16) {
    config.wm = 4;
  } else if (s.out_channels <= 32 || ((s.out_channels + 63) / 64) * ((n + 63) / 64) * parts < 16) {
    config.wm = 8;
    config.wn = 8;
  }
  const int64_t tiles_m = (s.out_channels + config.wm * 4 - 1) / (config.wm * 4);
  const int64_t tiles_n = (n + config.wn * 4 - 1) / (config.wn * 4);
  KernelCall call;
  call.kernel = "conv_transpose";
  call.config = config_of(config);
  call.bindings = {ctx.bind_in("x", 0), ctx.bind_in("w", 1)};
  if (config.bias) call.bindings.push_back(ctx.bind_in("b", 2));
  call.bindings.push_back(ctx.bind_out("y", 0));
  call.params = {word(s.in_channels), word(s.out_channels), word(s.groups),   word(s.batch),
                 word(tiles_m),       word(tiles_n),        word(s.input[0]), word(s.input[1]),
                 word(s.output[0]),   word(s.output[1]),    word(s.pads[0]),  word(s.pads[1])};
  call.workgroups =
      split_workgroups(static_cast<uint64_t>(tiles_m * tiles_n * parts), ctx.target());
  call.epilogue_at = "y";
  return ctx.dispatch(std::move(call));
}

}  // namespace

extern const OpDef op_conv_transpose;
const OpDef op_conv_transpose = {
    .name = "ConvTranspose",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .cpu_kernel = "conv_transpose",
};

}  // namespace quern
