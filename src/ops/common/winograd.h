// Convolutions of 3x3 by Winograd's F(2x2, 3x3): 4 multiplications an output instead of 9, as 16
// matrix products between transforms. Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", arXiv:1509.09308.
#pragma once

#include "ops/common/conv_shape.h"
#include "shader/lower.h"

namespace quern {

/// Can it be done so? For stride and dilation 1, one group, f32, on dims that never change.
bool allows_winograd(const LowerContext& ctx, const ConvShape& s);
/// Is that worth its transforms and their memory?
bool suits_winograd(const LowerContext& ctx, const ConvShape& s);

/// Dispatches a Conv node (x, w, b) of two spatial axes that suits: images are done in parts, so
/// that what lies between the transforms stays below kWinogradScratch bytes where one image does.
Result<void> dispatch_winograd(LowerContext& ctx, const ConvShape& s);
inline constexpr int64_t kWinogradScratch = int64_t{64} << 20;

}  // namespace quern
