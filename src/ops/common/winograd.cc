#include "ops/common/winograd.h"

#include <algorithm>

#include "ops/common/gemm.h"

namespace quern {
namespace {

constexpr int64_t kTransformed = 16;  // numbers of a tile
constexpr int64_t kWorkgroup = 64;

struct OutputConfig {
  bool bias = false;
  template <class F>
  void fields(F&& f) const {
    f("BIAS", static_cast<uint32_t>(bias));
  }
};

/// A part: some images.
struct Part {
  int64_t tiles_h, tiles_w, image_tiles, images;

  [[nodiscard]] int64_t tiles() const { return images * image_tiles; }
  [[nodiscard]] int64_t pitch() const { return (tiles() + 3) / 4 * 4; }
  /// Elements between the transforms, of each of both products' sides.
  [[nodiscard]] int64_t count(int64_t channels) const { return kTransformed * channels * pitch(); }
};

Part part_of(const ConvShape& s) {
  Part part{(s.output[0] + 1) / 2, (s.output[1] + 1) / 2, 0, 1};
  part.image_tiles = part.tiles_h * part.tiles_w;
  const int64_t image =
      kTransformed * (s.in_channels + s.out_channels) * part.image_tiles * int64_t{4};
  part.images = std::clamp<int64_t>(kWinogradScratch / std::max<int64_t>(image, 1), 1, s.batch);
  return part;
}

std::array<uint64_t, 3> workgroups_for(const LowerContext& ctx, int64_t invocations) {
  return split_workgroups(static_cast<uint64_t>((invocations + kWorkgroup - 1) / kWorkgroup),
                          ctx.target());
}

}  // namespace

bool allows_winograd(const LowerContext& ctx, const ConvShape& s) {
  const auto all = [](const std::vector<int64_t>& v, int64_t value) {
    return std::ranges::all_of(v, [&](int64_t x) { return x == value; });
  };
  if (s.rank() != 2 || s.groups != 1 || !all(s.kernel, 3) || !all(s.strides, 1) ||
      !all(s.dilations, 1) || ctx.input(0).dtype != DType::kF32 ||
      ctx.output(0).dtype != DType::kF32 || !ctx.output(0).is_baked_from(0)) {
    return false;
  }
  const Part part = part_of(s);
  const int64_t largest = std::max(part.count(std::max(s.in_channels, s.out_channels)),
                                   kTransformed * s.in_channels * s.out_channels);
  return largest * 4 <= static_cast<int64_t>(ctx.target().max_binding_bytes);
}

bool suits_winograd(const LowerContext& ctx, const ConvShape& s) {
  // Below, the transforms' own dispatches and memory cost more than the multiplications.
  constexpr int64_t kChannels = 64;
  constexpr int64_t kMultiplications = int64_t{1} << 30;
  return s.in_channels >= kChannels && s.out_channels >= kChannels &&
         ctx.output(0).count() * s.in_channels * 9 >= kMultiplications && allows_winograd(ctx, s);
}

Result<void> dispatch_winograd(LowerContext& ctx, const ConvShape& s) {
  const Part whole = part_of(s);
  const int64_t pairs = s.in_channels * s.out_channels;
  const auto scratch = [&](std::string_view name, int64_t count) -> Result<KernelBinding> {
    QUERN_TRY(check_u32(ctx, count));
    QUERN_ASSIGN(const Storage storage, ctx.scratch(static_cast<uint64_t>(count) * 4));
    return KernelBinding{name, storage, DType::kF32, static_cast<uint64_t>(count)};
  };
  QUERN_ASSIGN(const KernelBinding u, scratch("u", kTransformed * pairs));
  QUERN_ASSIGN(const KernelBinding v, scratch("v", whole.count(s.in_channels)));
  QUERN_ASSIGN(const KernelBinding m, scratch("m", whole.count(s.out_channels)));

  KernelCall filter{.kernel = "winograd_filter"};
  filter.bindings = {ctx.bind_in("w", 1), u};
  filter.params = {word(pairs)};
  filter.workgroups = workgroups_for(ctx, pairs);
  QUERN_TRY(ctx.dispatch(std::move(filter)));

  for (int64_t image = 0; image < s.batch; image += whole.images) {
    Part part = whole;
    part.images = std::min(whole.images, s.batch - image);
    KernelCall input{.kernel = "winograd_input"};
    input.bindings = {ctx.bind_in("x", 0), v};
    input.params = {word(s.in_channels), word(part.pitch()), word(part.tiles()), word(part.tiles_h),
                    word(part.tiles_w),  word(s.input[0]),   word(s.input[1]),   word(s.pads[0]),
                    word(s.pads[1]),     word(image)};
    input.workgroups = workgroups_for(ctx, s.in_channels * part.pitch());
    QUERN_TRY(ctx.dispatch(std::move(input)));

    GemmCall g{.a = u, .b = v, .y = m};
    g.a.name = "a";
    g.b.name = "b";
    g.y.name = "y";
    g.m = s.out_channels;
    g.k = s.in_channels;
    g.n = part.pitch();
    g.a_row = g.k;
    g.b_row = g.n;
    g.batch = {{kTransformed, pairs, s.in_channels * part.pitch()}};
    g.epilogue = false;
    g.varies = Varies{};
    QUERN_TRY(dispatch_gemm(ctx, std::move(g)));

    KernelCall output{.kernel = "winograd_output"};
    const bool bias = ctx.has_input(2);
    output.config = config_of(OutputConfig{bias});
    output.bindings = {m};
    if (bias) output.bindings.push_back(ctx.bind_in("b", 2));
    output.bindings.push_back(ctx.bind_out("y", 0));
    output.epilogue_at = "y";
    output.params = {word(s.out_channels), word(part.pitch()), word(part.tiles()),
                     word(part.tiles_h),   word(part.tiles_w), word(s.output[0]),
                     word(s.output[1]),    word(image)};
    output.workgroups = workgroups_for(ctx, s.out_channels * part.pitch());
    QUERN_TRY(ctx.dispatch(std::move(output)));
  }
  return {};
}

}  // namespace quern
