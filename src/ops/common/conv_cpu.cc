#include "ops/common/conv_cpu.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "ops/common/gemm_cpu.h"

namespace quern {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D kD;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(kD));

/// Positions j0..j1 of an output line, one tap: x[origin + j * stride], zero outside [0, width).
void fill_line(const float* x, int64_t width, int64_t origin, int64_t stride, int64_t j0,
               int64_t j1, float* dst) {
  if (x == nullptr) {
    std::fill(dst, dst + (j1 - j0), 0.0f);
    return;
  }
  // First and one-past-last position inside.
  const int64_t lo = std::clamp(origin >= 0 ? 0 : (-origin + stride - 1) / stride, j0, j1);
  const int64_t hi = std::clamp(origin >= width ? 0 : (width - 1 - origin) / stride + 1, lo, j1);
  std::fill(dst, dst + (lo - j0), 0.0f);
  if (stride == 1) {
    std::memcpy(dst + (lo - j0), x + origin + lo, static_cast<size_t>(hi - lo) * sizeof(float));
  } else {
    for (int64_t j = lo; j < hi; ++j) dst[j - j0] = x[origin + j * stride];
  }
  std::fill(dst + (hi - j0), dst + (j1 - j0), 0.0f);
}

}  // namespace

void fill_patches(const void* self, int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst,
                  int64_t pitch) {
  const ConvPatches& p = *static_cast<const ConvPatches*>(self);
  const ConvShape& s = *p.s;
  const size_t last = s.rank() - 1;
  const int64_t width = s.input[last];
  const int64_t out_width = s.output[last];
  const int64_t taps = s.taps();
  const int64_t plane = s.input_count();
  for (int64_t k = k0; k < k1; ++k) {
    float* row = dst + (k - k0) * pitch;
    const float* x = p.x + k / taps * plane;
    const int64_t tap = k % taps;
    const int64_t origin = tap % s.kernel[last] * s.dilations[last] - s.pads[last];
    for (int64_t n = n0; n < n1;) {
      const int64_t line = n / out_width;
      const int64_t j0 = n % out_width;
      const int64_t j1 = std::min(out_width, j0 + (n1 - n));
      // The input line of this output line: outer axes, innermost first.
      int64_t offset = 0;
      int64_t step = width;
      int64_t rest = line;
      int64_t rest_tap = tap / s.kernel[last];
      bool inside = true;
      for (size_t a = last; a-- > 0;) {
        const int64_t at =
            rest % s.output[a] * s.strides[a] + rest_tap % s.kernel[a] * s.dilations[a] - s.pads[a];
        inside = inside && at >= 0 && at < s.input[a];
        offset += at * step;
        step *= s.input[a];
        rest /= s.output[a];
        rest_tap /= s.kernel[a];
      }
      fill_line(inside ? x + offset : nullptr, width, origin, s.strides[last], j0, j1,
                row + (n - n0));
      n += j1 - j0;
    }
  }
}

namespace {

struct ConvBatch {
  const ConvShape* s;
  CpuGemm g;
  std::vector<ConvPatches> patches;  // one a (batch, group)
  const float* bias;
};

/// A line of depthwise output for stride 1 or any other.
void depthwise_line(const float* x, int64_t width, int64_t kernel, int64_t origin, int64_t stride,
                    int64_t dilation, const float* taps, float* y, int64_t out_width) {
  // Positions whose taps are all inside.
  const int64_t reach = (kernel - 1) * dilation;
  const int64_t lo =
      std::clamp<int64_t>(origin >= 0 ? 0 : (-origin + stride - 1) / stride, 0, out_width);
  const int64_t room = width - 1 - origin - reach;
  const int64_t hi = std::clamp<int64_t>(room < 0 ? 0 : room / stride + 1, lo, out_width);
  const auto edge = [&](int64_t j) {
    float sum = 0;
    for (int64_t t = 0; t < kernel; ++t) {
      const int64_t at = origin + j * stride + t * dilation;
      if (at >= 0 && at < width) sum += x[at] * taps[t];
    }
    y[j] += sum;
  };
  for (int64_t j = 0; j < lo; ++j) edge(j);
  int64_t j = lo;
  if (stride == 1) {
    for (; j + 2 * kLanes <= hi; j += 2 * kLanes) {
      V a = hn::LoadU(kD, y + j);
      V b = hn::LoadU(kD, y + j + kLanes);
      for (int64_t t = 0; t < kernel; ++t) {
        const V w = hn::Set(kD, taps[t]);
        const float* from = x + origin + j + t * dilation;
        a = hn::MulAdd(hn::LoadU(kD, from), w, a);
        b = hn::MulAdd(hn::LoadU(kD, from + kLanes), w, b);
      }
      hn::StoreU(a, kD, y + j);
      hn::StoreU(b, kD, y + j + kLanes);
    }
  } else if (stride == 2) {
    for (; j + kLanes <= hi && origin + (j + kLanes) * 2 + reach <= width; j += kLanes) {
      V a = hn::LoadU(kD, y + j);
      for (int64_t t = 0; t < kernel; ++t) {
        const float* from = x + origin + j * 2 + t * dilation;
        V even;
        V odd;
        hn::LoadInterleaved2(kD, from, even, odd);
        a = hn::MulAdd(even, hn::Set(kD, taps[t]), a);
      }
      hn::StoreU(a, kD, y + j);
    }
  }
  for (; j < hi; ++j) {
    float sum = 0;
    const float* from = x + origin + j * stride;
    for (int64_t t = 0; t < kernel; ++t) sum += from[t * dilation] * taps[t];
    y[j] += sum;
  }
  for (j = hi; j < out_width; ++j) edge(j);
}

}  // namespace

void depthwise_plane(const ConvShape& s, const float* plane, const float* taps, float bias,
                     float* y) {
  const size_t last = s.rank() - 1;
  const int64_t width = s.input[last];
  const int64_t out_width = s.output[last];
  const int64_t lines = s.output_count() / std::max<int64_t>(out_width, 1);
  const int64_t tap_lines = s.taps() / s.kernel[last];
  std::fill(y, y + s.output_count(), bias);
  for (int64_t line = 0; line < lines; ++line) {
    for (int64_t t = 0; t < tap_lines; ++t) {
      int64_t offset = 0;
      int64_t step = width;
      int64_t rest = line;
      int64_t rest_tap = t;
      bool inside = true;
      for (size_t a = last; a-- > 0;) {
        const int64_t at =
            rest % s.output[a] * s.strides[a] + rest_tap % s.kernel[a] * s.dilations[a] - s.pads[a];
        inside = inside && at >= 0 && at < s.input[a];
        offset += at * step;
        step *= s.input[a];
        rest /= s.output[a];
        rest_tap /= s.kernel[a];
      }
      if (!inside) continue;
      depthwise_line(plane + offset, width, s.kernel[last], -s.pads[last], s.strides[last],
                     s.dilations[last], taps + t * s.kernel[last], y + line * out_width, out_width);
    }
  }
}

Result<void> run_conv(CpuContext& ctx, const ConvShape& s, const float* x, const float* w,
                      const float* bias, float* y) {
  const int64_t planes = s.batch * s.groups;
  const int64_t positions = s.output_count();
  if (planes * s.out_channels * positions == 0) return {};
  if (s.in_channels == 1 && s.groups > 1) {
    ctx.parallel().run(planes * s.out_channels, 1 + 8192 / (positions * s.taps()),
                       [&](int64_t begin, int64_t end) {
                         for (int64_t i = begin; i < end; ++i) {
                           const int64_t channel = i % (s.groups * s.out_channels);
                           depthwise_plane(
                               s, x + i / s.out_channels * s.input_count(), w + channel * s.taps(),
                               bias != nullptr ? bias[channel] : 0.0f, y + i * positions);
                         }
                       });
    return {};
  }
  ConvBatch batch;
  batch.s = &s;
  batch.bias = bias;
  CpuGemm& g = batch.g;
  g.m = s.out_channels;
  g.k = s.in_channels * s.taps();
  g.n = positions;
  g.a = w;
  g.a_row = g.k;
  g.c = y;
  g.c_row = positions;
  g.b.data = x;
  g.b.row = positions;
  if (!s.is_pointwise()) {
    g.b.fill = fill_patches;
    for (int64_t i = 0; i < planes; ++i) {
      batch.patches.push_back({&s, x + i * s.in_channels * s.input_count()});
    }
  }
  return run_gemm_batch(
      ctx, g, planes,
      [](const void* self, int64_t i) {
        const ConvBatch& all = *static_cast<const ConvBatch*>(self);
        const ConvShape& shape = *all.s;
        const int64_t group = i % shape.groups;
        CpuGemm one = all.g;
        one.a += group * one.m * one.k;
        one.c += i * one.m * one.n;
        one.b.data += i * shape.in_channels * shape.input_count();
        if (!all.patches.empty()) one.b.self = &all.patches[static_cast<size_t>(i)];
        if (all.bias != nullptr) one.row_bias = all.bias + group * one.m;
        return one;
      },
      &batch);
}

}  // namespace quern
