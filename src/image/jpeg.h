// The parts of the JPEG decoder (ITU-T T.81): entropy coded coefficients, then samples.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "image/image.h"

namespace quern::image {

struct JpegComponent {
  int id = 0;
  uint32_t h = 1;  ///< sampling factors
  uint32_t v = 1;
  int quantiser = 0;
  uint32_t width = 0;  ///< in samples: what the picture needs
  uint32_t height = 0;
  uint32_t columns = 0;  ///< in blocks, whole units of the picture
  uint32_t rows = 0;
  std::vector<int16_t> coefficients;  ///< 64 a block, in natural order
  std::array<uint16_t, 64> quantisers{};
  bool has_quantisers = false;
};

struct JpegFrame {
  uint32_t width = 0;
  uint32_t height = 0;
  bool progressive = false;
  uint32_t h_max = 1;
  uint32_t v_max = 1;
  std::vector<JpegComponent> components;
  bool is_rgb = false;  ///< three components that are RGB, not YCbCr
};

/// Coefficients to pixels, as libjpeg does it to the bit: the accurate integer transform, smooth
/// upsampling, colours in 16-bit fixed point.
Result<Image> jpeg_pixels(const JpegFrame& frame);

}  // namespace quern::image
