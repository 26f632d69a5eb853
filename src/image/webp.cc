// WebP files: the chunks of a RIFF file, one of which is the picture. Alpha is left away.

#include <algorithm>

#include "image/reader.h"
#include "image/vp8.h"

namespace quern::image {

Result<Image> decode_webp(Bytes file) {
  Reader in(file);
  in.skip(12);
  while (!in.ended() && in.at() + 8 <= file.size()) {
    const uint32_t kind = in.u32();
    const uint32_t size = in.u32();
    const Bytes chunk = in.take(std::min<size_t>(size, file.size() - in.at()));
    if (size % 2 != 0) in.skip(1);
    if (kind == 0x20385056) return decode_vp8(chunk);   // "VP8 "
    if (kind == 0x4c385056) return decode_vp8l(chunk);  // "VP8L"
    if (kind == 0x4d494e41) return unsupported("WebP file: it is an animation");
  }
  return invalid_argument("WebP file: it has no picture");
}

}  // namespace quern::image
