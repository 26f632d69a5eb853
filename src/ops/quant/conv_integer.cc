// ConvInteger: convolution of 8-bit integers less their zero points (of the weights: one, or one
// an output channel), exact in i32.
#include "ops/common/conv.h"
#include "ops/common/exprs.h"
#include "ops/common/gemm.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kX, kW, kXZero, kWZero };

Result<Expr> expr(ExprContext& ctx, size_t) {
  return conv_sum(
      ctx,
      [&](Expr v) -> Result<Expr> {
        if (!ctx.has_input(kXZero)) return centred(ctx.b, v, std::nullopt);
        QUERN_ASSIGN(Expr zero, scalar_input(ctx, kXZero));
        return centred(ctx.b, v, zero);
      },
      [&](Expr v) -> Result<Expr> {
        if (!ctx.has_input(kWZero)) return centred(ctx.b, v, std::nullopt);
        std::vector<Expr> at;
        if (ctx.input(kWZero).rank() == 1) {
          at.push_back(ctx.b.min(ctx.index(1), ctx.b.sub(ctx.dim(kWZero, 0), ctx.b.i32(1))));
        }
        QUERN_ASSIGN(Expr zero, ctx.load(kWZero, at));
        return centred(ctx.b, v, zero);
      });
}

struct Config {
  uint32_t wm = 16, wn = 16, tm = 4;
  int64_t kh = 1, kw = 1;
  bool vec_a = false, x_zero = false, w_zero = false;
  template <class F>
  void fields(F&& f) const {
    f("WM", wm);
    f("WN", wn);
    f("TM", tm);
    f("KH", kh);
    f("KW", kw);
    f("VEC_A", vec_a);
    f("X_ZERO", uint32_t{x_zero});
    f("W_ZERO", uint32_t{w_zero});
  }
};

Result<void> lower_pointwise(LowerContext& ctx, const ConvShape& s, int64_t w_zero_step) {
  GemmCall g{.a = ctx.bind_in("a", kW), .b = ctx.bind_in("b", kX), .y = ctx.bind_out("y", 0)};
  g.integer = true;
  g.m = s.out_channels;
  g.k = s.in_channels;
  g.n = s.output_count();
  g.a_row = g.k;
  g.b_row = g.n;
  g.batch = {{s.batch, 0, g.k * g.n}};
  if (ctx.has_input(kWZero)) g.a_zero = ctx.bind_in("a_zero", kWZero);
  if (ctx.has_input(kXZero)) g.b_zero = ctx.bind_in("b_zero", kXZero);
  g.a_zero_step = w_zero_step;
  return dispatch_gemm(ctx, std::move(g));
}

Result<void> lower(LowerContext& ctx) {
  for (size_t i = kX; i <= kW; ++i) {
    if (bit_width(ctx.input(i).dtype) != 8) return unsupported("integers of more than 8 bits");
  }
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx));
  if (!ctx.input(kW).is_baked_from(1)) return unsupported("a kernel of unknown shape");
  QUERN_TRY(check_u32(ctx, ctx.input(kX).count()));
  QUERN_TRY(check_u32(ctx, ctx.output(0).count()));
  if (ctx.output(0).count() == 0) return {};
  const int64_t w_zero_step = ctx.has_input(kWZero) && ctx.input(kWZero).count() > 1 ? 1 : 0;
  if (s.is_pointwise() && s.groups == 1) return lower_pointwise(ctx, s, w_zero_step);
  const int64_t n = s.output_count();
  // Of few terms or positions the general form makes as good a kernel.
  if (s.rank() > 2 || (s.in_channels == 1 && s.groups > 1) || n <= 16) {
    return unsupported("a shape for the general form");
  }
  s.to_2d();
  Config config;
  const int64_t k = s.in_channels * s.taps();
  const int64_t big = ((s.out_channels + 63) / 64) * ((n + 63) / 64) * s.batch * s.groups;
  if (s.out_channels <= 16) {
    config.wm = 4;
  } else if (s.out_channels <= 32 || big < 16) {
    config.wm = 8;
    config.wn = 8;
  }
  config.kh = s.kernel[0];
  config.kw = s.kernel[1];
  config.vec_a = k % 4 == 0;
  config.x_zero = ctx.has_input(kXZero);
  config.w_zero = ctx.has_input(kWZero);
  KernelCall call;
  call.kernel = "conv_integer";
  call.config = config_of(config);
  call.bindings = {ctx.bind_in("x", kX), ctx.bind_in("w", kW)};
  if (config.x_zero) call.bindings.push_back(ctx.bind_in("x_zero", kXZero));
  if (config.w_zero) call.bindings.push_back(ctx.bind_in("w_zero", kWZero));
  call.bindings.push_back(ctx.bind_out("y", 0));
  call.epilogue_at = "y";
  const int64_t tiles_m = (s.out_channels + config.wm * config.tm - 1) / (config.wm * config.tm);
  const int64_t tiles_n = (n + config.wn * 4 - 1) / (config.wn * 4);
  call.params = {word(s.in_channels),  word(s.out_channels), word(s.groups),     word(s.batch),
                 word(tiles_m),        word(tiles_n),        word(s.input[0]),   word(s.input[1]),
                 word(s.output[0]),    word(s.output[1]),    word(s.strides[0]), word(s.strides[1]),
                 word(s.dilations[0]), word(s.dilations[1]), word(s.pads[0]),    word(s.pads[1]),
                 word(w_zero_step)};
  call.workgroups =
      split_workgroups(static_cast<uint64_t>(tiles_m * tiles_n * s.batch * s.groups), ctx.target());
  return ctx.dispatch(std::move(call));
}

}  // namespace

extern const OpDef op_conv_integer;
const OpDef op_conv_integer = {
    .name = "ConvInteger",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 4,
    .types = types_of(DType::kI8, DType::kU8),
    .attributes = kConvAttributes,
    .takes_epilogue = true,
    .infer = [](InferContext& ctx) { return infer_conv(ctx, kW, DType::kI32); },
    .expr = expr,
    .lower = lower,
    .cpu_kernel = "conv_integer",
};

}  // namespace quern
