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

}  // namespace quern
