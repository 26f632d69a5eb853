#include "image/image.h"

#include <algorithm>

namespace quern::image {
namespace {

constexpr uint64_t kMaxBytes = uint64_t{256} << 20;

bool begins(Bytes file, std::string_view text, size_t at = 0) {
  return file.size() >= at + text.size() &&
         std::equal(text.begin(), text.end(), file.begin() + static_cast<std::ptrdiff_t>(at),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

}  // namespace

Result<Image> new_image(uint64_t width, uint64_t height, uint32_t channels) {
  if (width == 0 || height == 0) return invalid_argument("a picture without pixels");
  if (width > UINT32_MAX || height > UINT32_MAX || width * height > kMaxBytes / channels) {
    return limit_exceeded(cat("a picture of ", width, " x ", height, " pixels"));
  }
  Image image;
  image.width = static_cast<uint32_t>(width);
  image.height = static_cast<uint32_t>(height);
  image.channels = channels;
  image.pixels.resize(width * height * channels);
  return image;
}

Result<Image> decode(Bytes file) {
  if (begins(file, "\x89PNG\r\n\x1a\n")) return decode_png(file);
  if (begins(file, "\xff\xd8\xff")) return decode_jpeg(file);
  if (begins(file, "BM")) return decode_bmp(file);
  if (begins(file, {"II*\0", 4}) || begins(file, {"MM\0*", 4})) return decode_tiff(file);
  if (file.size() > 2 && file[0] == 'P' && file[1] >= '1' && file[1] <= '6') {
    return decode_pnm(file);
  }
  if (begins(file, "RIFF") && begins(file, "WEBP", 8)) {
    return decode_webp(file);
  }
  if (begins(file, "jP  ", 4) || begins(file, "\xff\x4f\xff\x51")) {
    return decode_jp2(file);
  }
  return invalid_argument("the data is no picture in a known format");
}

Image to_rgb(Image image) {
  if (image.channels == 3) return image;
  Image rgb{image.width, image.height, 3, {}};
  const size_t count = size_t{image.width} * image.height;
  rgb.pixels.resize(count * 3);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* from = &image.pixels[i * image.channels];
    for (size_t c = 0; c < 3; ++c) rgb.pixels[i * 3 + c] = from[image.channels < 3 ? 0 : c];
  }
  return rgb;
}

Image to_gray(Image image) {
  if (image.channels == 1) return image;
  Image gray{image.width, image.height, 1, {}};
  const size_t count = size_t{image.width} * image.height;
  gray.pixels.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const uint8_t* p = &image.pixels[i * image.channels];
    // 0.299, 0.587, 0.114 in 16 bits.
    gray.pixels[i] =
        image.channels < 3
            ? p[0]
            : static_cast<uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
  }
  return gray;
}

}  // namespace quern::image
