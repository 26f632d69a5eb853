// The parts of the WebP decoder: VP8 key frames (RFC 6386) and the lossless format.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "image/image.h"

namespace quern::image {

/// A plane with a border: a row above, and columns at both sides.
struct Vp8Plane {
  size_t stride = 0;
  std::vector<uint8_t> samples;

  Vp8Plane() = default;
  Vp8Plane(size_t width, size_t height)
      : stride(width + 32), samples((width + 32) * (height + 1)) {}
  [[nodiscard]] uint8_t* at(size_t x, size_t y) { return &samples[(y + 1) * stride + 16 + x]; }
  [[nodiscard]] const uint8_t* at(size_t x, size_t y) const {
    return &samples[(y + 1) * stride + 16 + x];
  }
};

/// What of a macroblock the loop filter needs to know.
struct Vp8Filter {
  int limit = 0;  ///< 0: none
  int inner_limit = 0;
  int threshold = 0;  ///< of high edge variance
  bool inside = false;
};

struct Vp8Frame {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t columns = 0;  ///< macroblocks
  uint32_t rows = 0;
  bool simple_filter = false;
  Vp8Plane planes[3];
  std::vector<Vp8Filter> filters;  ///< one a macroblock; empty: none
};

/// The modes of 16 x 16 and of chroma blocks are the first four.
enum Vp8Mode : uint8_t {
  kDc,
  kTrueMotion,
  kVertical,
  kHorizontal,
  kRightDown,
  kVerticalRight,
  kLeftDown,
  kVerticalLeft,
  kHorizontalDown,
  kHorizontalUp
};

/// Predicts a block of `size` samples from those above and to the left.
void vp8_predict(uint8_t* to, size_t stride, int size, Vp8Mode mode, bool has_above, bool has_left);
/// Likewise of 4 x 4, from 8 samples above.
void vp8_predict4(uint8_t* to, size_t stride, Vp8Mode mode, const uint8_t* above);
/// Adds the inverse transform of 16 coefficients.
void vp8_add_block(const int16_t* coefficients, uint8_t* to, size_t stride);
/// The first coefficients of 16 blocks, 16 apart in `to`, from those of their own transform.
void vp8_inverse_hadamard(const int16_t* in, int16_t* to);

void vp8_loop_filter(Vp8Frame& frame);
/// RGB, chroma interpolated with weights 9 : 3 : 3 : 1.
Result<Image> vp8_pixels(const Vp8Frame& frame);

Result<Image> decode_vp8(Bytes data);
Result<Image> decode_vp8l(Bytes data);

}  // namespace quern::image
