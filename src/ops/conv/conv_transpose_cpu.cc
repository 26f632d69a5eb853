#include <algorithm>

#include "ops/common/conv_shape.h"
#include "ops/common/gemm_cpu.h"

namespace quern {
namespace {

/// Adds `from`, one tap's product for every input position of a channel, to where it belongs.
void scatter_tap(const ConvShape& s, const float* from, int64_t tap, float* y) {
  const size_t last = s.rank() - 1;
  const int64_t width = s.input[last];
  const int64_t lines = s.input_count() / std::max<int64_t>(width, 1);
  const int64_t stride = s.strides[last];
  const int64_t shift = tap % s.kernel[last] * s.dilations[last] - s.pads[last];
  const int64_t out_width = s.output[last];
  // Positions whose output is inside.
  const int64_t lo = std::clamp<int64_t>(shift >= 0 ? 0 : (-shift + stride - 1) / stride, 0, width);
  const int64_t hi = std::clamp<int64_t>(
      out_width - 1 < shift ? 0 : (out_width - 1 - shift) / stride + 1, lo, width);
  for (int64_t line = 0; line < lines; ++line) {
    int64_t offset = 0;
    int64_t step = out_width;
    int64_t rest = line;
    int64_t rest_tap = tap / s.kernel[last];
    bool inside = true;
    for (size_t a = last; a-- > 0;) {
      const int64_t at =
          rest % s.input[a] * s.strides[a] + rest_tap % s.kernel[a] * s.dilations[a] - s.pads[a];
      inside = inside && at >= 0 && at < s.output[a];
      offset += at * step;
      step *= s.output[a];
      rest /= s.input[a];
      rest_tap /= s.kernel[a];
    }
    if (!inside) continue;
    const float* x = from + line * width;
    float* to = y + offset + shift;
    if (stride == 1) {
      for (int64_t j = lo; j < hi; ++j) to[j] += x[j];
    } else {
      for (int64_t j = lo; j < hi; ++j) to[j * stride] += x[j];
    }
  }
}

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx, true));
  const float* x = ctx.in_as<float>(0);
  const float* w = ctx.in_as<float>(1);
  const float* bias = ctx.has_input(2) ? ctx.in_as<float>(2) : nullptr;
  float* y = ctx.out_as<float>(0);
  const int64_t positions = s.input_count();
  const int64_t outputs = s.output_count();
  if (s.batch * s.groups * s.out_channels * outputs == 0) return {};
  // A task is a few output channels of one group of one image.
  constexpr int64_t kChannels = 6;
  const int64_t blocks = (s.out_channels + kChannels - 1) / kChannels;
  const int64_t tasks = s.batch * s.groups * blocks;
  const int64_t slots = task_slots(ctx.parallel(), tasks);
  const int64_t each = gemm_scratch_floats() + (kChannels * kGemmColumns + 15) / 16 * 16;
  const int64_t sums = kChannels * positions;
  QUERN_ASSIGN(uint8_t* bytes,
               ctx.scratch(static_cast<size_t>(slots * (each + sums)) * sizeof(float)));
  float* scratch = reinterpret_cast<float*>(bytes);
  run_tasks(ctx.parallel(), tasks, slots, [&](int64_t task, int64_t slot) {
    float* pack = scratch + slot * (each + sums);
    float* product = pack + each;
    const int64_t block = task / blocks;
    const int64_t group = block % s.groups;
    const int64_t first = task % blocks * kChannels;
    const int64_t channels = std::min(kChannels, s.out_channels - first);
    float* out = y + (block * s.out_channels + first) * outputs;
    for (int64_t c = 0; c < channels; ++c) {
      const float start = bias != nullptr ? bias[group * s.out_channels + first + c] : 0.0f;
      std::fill(out + c * outputs, out + (c + 1) * outputs, start);
    }
    CpuGemm g;
    g.m = channels;
    g.n = positions;
    g.k = s.in_channels;
    g.a_row = s.taps();
    g.a_col = s.out_channels * s.taps();
    g.b.data = x + block * s.in_channels * positions;
    g.b.row = positions;
    g.c = product;
    g.c_row = positions;
    for (int64_t tap = 0; tap < s.taps(); ++tap) {
      g.a = w + (group * s.in_channels * s.out_channels + first) * s.taps() + tap;
      for (int64_t n = 0; n < positions; n += kGemmColumns) {
        gemm_block(g, 0, channels, n, std::min(positions, n + kGemmColumns), pack);
      }
      for (int64_t c = 0; c < channels; ++c) {
        scatter_tap(s, product + c * positions, tap, out + c * outputs);
      }
    }
  });
  return {};
}

}  // namespace

extern const CpuKernel cpu_conv_transpose;
const CpuKernel cpu_conv_transpose = {.run = run};

}  // namespace quern
