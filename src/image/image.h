// Pictures in files to pixels, for ImageDecoder. Every decoder bounds what it allocates by the
// dims it has checked, and gives an error for anything malformed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace quern::image {

using Bytes = std::span<const uint8_t>;

/// Rows from the top, pixels from the left, channels side by side: gray, gray and alpha, RGB, RGBA.
struct Image {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t channels = 0;
  std::vector<uint8_t> pixels;

  [[nodiscard]] size_t row_bytes() const { return size_t{width} * channels; }
};

/// A black picture; kLimit where it would take more than 256 MB, kInvalidArgument without pixels.
Result<Image> new_image(uint64_t width, uint64_t height, uint32_t channels);

/// Of any of the formats below, told by its first bytes.
Result<Image> decode(Bytes file);

Result<Image> decode_png(Bytes file);
Result<Image> decode_bmp(Bytes file);
Result<Image> decode_pnm(Bytes file);   ///< P1 to P6
Result<Image> decode_tiff(Bytes file);  ///< the first picture
Result<Image> decode_jpeg(Bytes file);  ///< baseline and progressive
Result<Image> decode_jp2(Bytes file);   ///< JPEG 2000
Result<Image> decode_webp(Bytes file);  ///< lossy and lossless

/// The same in three channels, alpha left away.
Image to_rgb(Image image);
/// In one channel, by the weights of ITU-R 601-2.
Image to_gray(Image image);

/// The data of a zlib stream (RFC 1950, 1951), of at most `limit` bytes.
Result<std::vector<uint8_t>> inflate(Bytes stream, size_t limit);

}  // namespace quern::image
