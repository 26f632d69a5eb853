// Any bytes are a picture with as many pixels as it says, or an error. What is no picture by its
// first bytes is tried as each of the formats: the first byte chooses.
#include <cstdlib>
#include <vector>

#include "image/image.h"

namespace {

using quern::image::Image;

void check(const quern::Result<Image>& image) {
  if (!image) {
    if (image.error().code == quern::ErrorCode::kInternal) std::abort();
    return;
  }
  if (image->pixels.size() != image->row_bytes() * image->height) std::abort();
  const size_t count = size_t{image->width} * image->height;
  if (count > 1 << 16) return;
  if (to_rgb(*image).pixels.size() != count * 3 || to_gray(*image).pixels.size() != count) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quern::image;  // NOLINT(google-build-using-namespace)
  constexpr std::string_view kBegins[] = {
      "\x89PNG\r\n\x1a\n",      "\xff\xd8\xff",    "BM", "P6", {"II*\0", 4}, {"MM\0*", 4},
      "RIFF\xff\xff\0\0WEBPVP", "\xff\x4f\xff\x51"};
  const Bytes file(data, size);
  if (size == 0) return 0;
  check(decode(file));
  const std::string_view begin = kBegins[data[0] % std::size(kBegins)];
  std::vector<uint8_t> named(begin.begin(), begin.end());
  named.insert(named.end(), data + 1, data + size);
  check(decode(named));
  (void)inflate(file, 1 << 20);
  return 0;
}
