// Conv: convolution over any number of spatial axes, with groups.
#include "ops/common/conv.h"

#include <optional>

#include "ops/common/forms.h"
#include "ops/common/gemm.h"
#include "ops/common/winograd.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& ctx) { return infer_conv(ctx, 1, ctx.dtype(0)); }

/// The generic form: any rank and type.
Result<Expr> expr(ExprContext& ctx, size_t) {
  const auto same = [](Expr v) -> Result<Expr> { return v; };
  QUERN_ASSIGN(Expr sum, conv_sum(ctx, same, same));
  if (!ctx.has_input(2)) return sum;
  const Expr at_bias[] = {ctx.index(1)};
  QUERN_ASSIGN(Expr bias, ctx.load(2, at_bias));
  return ctx.b.add(sum, bias);
}

/// conv.wgsl.
struct ConvConfig {
  Tiling tiling;
  int64_t kh = 1, kw = 1;
  bool vec_a = false, vec_y = false, bias = false;
  template <class F>
  void fields(F&& f) const {
    tiling.fields(f);
    f("KH", kh);
    f("KW", kw);
    f("VEC_A", vec_a);
    f("VEC_Y", static_cast<uint32_t>(vec_y));
    f("BIAS", static_cast<uint32_t>(bias));
  }
};

/// conv_narrow.wgsl and depthwise.wgsl.
struct KernelConfig {
  int64_t kh = 1, kw = 1;
  bool bias = false;
  template <class F>
  void fields(F&& f) const {
    f("KH", kh);
    f("KW", kw);
    f("BIAS", static_cast<uint32_t>(bias));
  }
};

/// Rows are channels, which are known; columns the output positions of an image.
Varies varies_of(LowerContext& ctx) {
  const TensorInfo& y = ctx.output(0);
  Varies varies{.n = !y.is_baked_from(2)};
  varies.any = varies.n || !y.is_baked(0);
  return varies;
}

Result<void> lower_pointwise(LowerContext& ctx, const ConvShape& s) {
  GemmCall g{.a = ctx.bind_in("a", 1), .b = ctx.bind_in("b", 0), .y = ctx.bind_out("y", 0)};
  g.m = s.out_channels;
  g.k = s.in_channels;
  g.n = s.output_count();
  g.a_row = g.k;
  g.b_row = g.n;
  g.batch = {{s.batch, 0, g.k * g.n}};
  g.varies = varies_of(ctx);
  if (ctx.has_input(2)) {
    g.c = ctx.bind_in("c", 2);
    g.c_row = 1;
  }
  return dispatch_gemm(ctx, std::move(g));
}

/// How a convolution is done: by Winograd's transforms where there is no tiling.
using Form = std::optional<Tiling>;

Form form_of(LowerContext& ctx, const ConvShape& s) {
  const int64_t m = s.out_channels;
  const int64_t n = s.output_count();
  const int64_t k = s.in_channels * s.taps();
  const int64_t blocks = s.batch * s.groups;
  const Varies varies = varies_of(ctx);
  const bool winograd = suits_winograd(ctx, s);
  if (!ctx.is_tuned()) {
    return winograd ? Form() : tiling_of(ctx.target(), m, n, k, blocks, varies);
  }
  std::vector<Tiling> tilings;
  for (Tiling tiling : tilings_of(ctx.target(), m, n, k, blocks, varies)) {
    tiling.exact = tiling.writable = false;  // the kernel has no such forms
    add_new(tilings, tiling);
  }
  std::vector<Form> forms(tilings.begin(), tilings.end());
  if (winograd) forms.insert(forms.begin(), Form());
  if (!winograd && allows_winograd(ctx, s)) forms.emplace_back();
  std::string problem =
      cat("conv ", s.batch, "x", s.groups, "x", s.out_channels, "x", s.in_channels);
  for (size_t i = 0; i < 2; ++i) {
    problem += cat(" ", s.input[i], ":", s.output[i], ":", s.kernel[i], ":", s.strides[i], ":",
                   s.dilations[i]);
  }
  problem += cat(" ", name_of(ctx.input(0).dtype), " ", name_of(ctx.input(1).dtype), " ",
                 name_of(ctx.output(0).dtype));
  const auto name = [](const Form& form) { return form ? name_of(*form) : "winograd"; };
  return pick(ctx, problem, forms, name, true);
}

/// The general kernel, of whose call `call` has the bindings.
Result<void> lower_tiles(LowerContext& ctx, const ConvShape& s, KernelCall call,
                         const std::vector<uint32_t>& geometry, const Tiling& tiling) {
  const int64_t n = s.output_count();
  const int64_t k = s.in_channels * s.taps();
  const int64_t blocks = s.batch * s.groups;
  const Varies varies = varies_of(ctx);
  const bool bias = ctx.has_input(2);
  const auto call_of = [&](const Tiling& tiling) {
    KernelCall out = call;
    ConvConfig config;
    config.tiling = tiling;
    config.kh = s.kernel[0];
    config.kw = s.kernel[1];
    config.vec_a = k % 4 == 0;
    config.vec_y = !varies.n && n % 4 == 0;
    config.bias = bias && (tiling.slices == 1 || ctx.shares_parts());
    const int64_t tiles_m = tiling.tiles_m(s.out_channels);
    const int64_t tiles_n = tiling.tiles_n(n);
    out.kernel = "conv";
    out.config = config_of(config);
    out.stores_fours = config.vec_y;
    out.params = {word(s.in_channels), word(s.out_channels), word(s.groups),
                  word(s.batch),       word(tiles_m),        word(tiles_n)};
    out.params.insert(out.params.end(), geometry.begin(), geometry.end());
    out.params.push_back(word(tiling.slices == 1 ? k : tiling.slice_depth));
    out.params.push_back(word(tiling.slices));
    out.params.push_back(uint32_t{tiling.slices == 1});
    out.workgroups = split_workgroups(
        static_cast<uint64_t>(tiles_m * tiles_n * blocks * tiling.slices), ctx.target());
    return out;
  };
  if (const auto other = other_tiling(ctx.target(), tiling, s.out_channels, n, k, varies)) {
    QUERN_TRY(ctx.prepare(call_of(*other)));
  }
  if (tiling.slices == 1) return ctx.dispatch(call_of(tiling));

  const int64_t total = tiling.slices * ctx.output(0).count();
  QUERN_TRY(check_u32(ctx, total));
  QUERN_ASSIGN(Storage scratch, ctx.scratch(static_cast<uint64_t>(total) * 4));
  const KernelBinding partial = {"y", scratch, DType::kF32, static_cast<uint64_t>(total)};
  SliceSum sum{.x = partial, .y = ctx.bind_out("y", 0)};
  sum.x.name = "x";
  if (bias) {
    sum.c = ctx.bind_in("c", 2);
    sum.c_row = 1;
  }
  sum.slices = tiling.slices;
  sum.count = s.batch;
  sum.m = s.groups * s.out_channels;
  sum.n = n;
  call.bindings = {ctx.bind_in("x", 0), ctx.bind_in("w", 1)};
  if (bias && ctx.shares_parts()) call.bindings.push_back(ctx.bind_in("b", 2));
  call.bindings.push_back(partial);
  call.epilogue_at = {};
  call.part_at = partial.name;
  QUERN_TRY(ctx.dispatch(call_of(tiling)));
  return dispatch_slice_sum(ctx, sum);
}

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(0).dtype)) return unsupported("a convolution of f64");
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx));
  if (s.rank() > 2 && !s.is_pointwise()) return unsupported("three spatial axes");
  if (!ctx.input(1).is_baked_from(1)) return unsupported("a kernel of unknown shape");
  QUERN_TRY(check_u32(ctx, ctx.input(0).count()));
  QUERN_TRY(check_u32(ctx, ctx.output(0).count()));
  if (ctx.output(0).count() == 0) return {};
  if (s.is_pointwise() && s.groups == 1) return lower_pointwise(ctx, s);
  if (s.rank() > 2) return unsupported("three spatial axes");
  s.to_2d();
  const int64_t n = s.output_count();
  // Where a tile would be mostly empty there are other kernels.
  const bool narrow = n <= 16 && !ctx.target().emulated;
  const bool depthwise = s.in_channels == 1 && s.groups > 1;
  const Form form = narrow || depthwise ? Tiling() : form_of(ctx, s);
  if (!form) return dispatch_winograd(ctx, s);

  KernelCall call;
  call.bindings = {ctx.bind_in("x", 0), ctx.bind_in("w", 1)};
  const bool bias = ctx.has_input(2);
  if (bias) call.bindings.push_back(ctx.bind_in("b", 2));
  call.bindings.push_back(ctx.bind_out("y", 0));
  call.epilogue_at = "y";
  const KernelConfig kernel = {s.kernel[0], s.kernel[1], bias};
  std::vector<uint32_t> geometry = {word(s.input[0]),     word(s.input[1]),     word(s.output[0]),
                                    word(s.output[1]),    word(s.strides[0]),   word(s.strides[1]),
                                    word(s.dilations[0]), word(s.dilations[1]), word(s.pads[0]),
                                    word(s.pads[1])};

  if (depthwise) {
    const int64_t quads = (s.output[1] + 3) / 4;
    const int64_t total = s.batch * s.groups * s.out_channels * s.output[0] * quads;
    call.kernel = "depthwise";
    call.config = config_of(kernel);
    call.params = {word(total), word(s.groups * s.out_channels), word(s.out_channels), word(quads)};
    call.workgroups = split_workgroups(static_cast<uint64_t>((total + 63) / 64), ctx.target());
  } else if (narrow) {
    // One workgroup sums for one channel and four positions.
    const int64_t quads = (n + 3) / 4;
    call.kernel = "conv_narrow";
    call.config = config_of(kernel);
    call.params = {word(s.in_channels), word(s.out_channels), word(s.groups), word(s.batch),
                   word(quads)};
    call.workgroups = split_workgroups(
        static_cast<uint64_t>(s.batch * s.groups * s.out_channels * quads), ctx.target());
  } else {
    return lower_tiles(ctx, s, std::move(call), geometry, *form);
  }
  call.params.insert(call.params.end(), geometry.begin(), geometry.end());
  return ctx.dispatch(std::move(call));
}

}  // namespace

extern const OpDef op_conv;
const OpDef op_conv = {
    .name = "Conv",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kConvAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .cpu_kernel = "conv",
};

}  // namespace quern
