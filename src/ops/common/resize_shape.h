// How Resize and Upsample map the positions of one axis: extents, scales, source coordinates.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ir/tensor.h"

namespace quern {

/// One axis of a resize in one binding.
struct ResizeAxis {
  int64_t in = 0;
  int64_t out = 0;
  double scale = 1;  ///< out / in, but for rounding
  double roi_start = 0;
  double roi_end = 1;
};

/// The axes that scales, sizes and roi are about: attribute `axes`, else all.
Result<std::vector<size_t>> resized_axes(const Node& node, size_t rank);

/// All axes of a tensor of dims `x`. `roi`, `scales` and `sizes` are null where absent; empty ones
/// count as absent.
Result<std::vector<ResizeAxis>> resize_geometry(const Node& node, const Dims& x,
                                                const HostTensor* roi, const HostTensor* scales,
                                                const HostTensor* sizes);

/// The output's extents for an input of extents `x`, where inputs `scales` and `sizes` of the
/// node (a number past its inputs: absent) are known; fresh dims elsewhere.
Result<Shape> resized_shape(InferContext& c, const Shape& x, size_t scales, size_t sizes);
/// The same for scales known as numbers, one an axis.
Result<Shape> scaled_shape(InferContext& c, const Shape& x, const std::vector<size_t>& axes,
                           const std::vector<double>& scales);

/// How positions are mapped and weighed: the attributes of a Resize node.
struct ResizeMapping {
  enum class Mode : uint8_t { kNearest, kLinear, kCubic };
  enum class Coordinates : uint8_t {
    kHalfPixel,
    kHalfPixelSymmetric,
    kPytorchHalfPixel,
    kAlignCorners,
    kAsymmetric,
    kCrop,
    kHalfPixelForNearest
  };
  enum class Rounding : uint8_t {
    kPreferFloor,
    kPreferCeil,
    kFloor,
    kCeil,
    kSimple  ///< of operator set 10: up where it shrinks, else down
  };

  Mode mode = Mode::kNearest;
  Coordinates coordinates = Coordinates::kHalfPixel;
  Rounding rounding = Rounding::kPreferFloor;
  double cubic_a = -0.75;
  bool antialias = false;
  bool exclude_outside = false;

  /// Is an axis of scale 1 left as it is?
  [[nodiscard]] bool keeps_unscaled() const { return coordinates != Coordinates::kCrop; }
  /// Weights of one output position; 0 of mode nearest.
  [[nodiscard]] int64_t taps(double scale) const;
  /// Whether `taps` is the same for all scales.
  [[nodiscard]] bool has_fixed_taps() const { return mode == Mode::kNearest || !antialias; }
};
Result<ResizeMapping> resize_mapping(const Node& node);

/// The first row of a table where a crop's position lies outside of the input.
inline constexpr int32_t kResizeOutside = INT32_MIN;

/// The table of an axis, i32 [1 + taps, out]: row 0 holds the input position of the first tap,
/// which may lie outside (of mode nearest: the position, inside), the other rows the f32 bits of
/// the taps' weights.
Result<HostTensor> resize_table(const ResizeMapping& mapping, const ResizeAxis& axis);

}  // namespace quern
