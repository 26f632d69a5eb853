// Convolution on the CPU, f32.
#pragma once

#include "base/result.h"
#include "cpu/cpu_kernel.h"
#include "ops/common/conv_shape.h"

namespace quern {

/// y = conv(x, w) + bias (or null).
Result<void> run_conv(CpuContext& ctx, const ConvShape& s, const float* x, const float* w,
                      const float* bias, float* y);

/// One channel of a depthwise convolution: `plane` of the input, `taps` weights.
void depthwise_plane(const ConvShape& s, const float* plane, const float* taps, float bias,
                     float* y);

/// The patches of one group of one image, as the right matrix of a product: row (channel, tap),
/// column output position. `fill_patches` is its GemmRight::fill.
struct ConvPatches {
  const ConvShape* s;
  const float* x;
};
void fill_patches(const void* self, int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst,
                  int64_t pitch);

}  // namespace quern
