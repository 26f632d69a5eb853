// PNG: all colour types and depths, interlaced or not. 16-bit samples keep their high byte.

#include <algorithm>
#include <cstdlib>

#include "image/image.h"
#include "image/reader.h"

namespace quern::image {
namespace {

struct Header {
  uint32_t width = 0;
  uint32_t height = 0;
  int depth = 0;
  int colour = 0;  // 0 gray, 2 RGB, 3 palette, 4 gray and alpha, 6 RGBA
  bool interlaced = false;

  [[nodiscard]] int samples() const {
    return colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1;
  }
  [[nodiscard]] bool valid() const {
    const bool small = depth == 1 || depth == 2 || depth == 4;
    if (colour == 0) return small || depth == 8 || depth == 16;
    if (colour == 3) return small || depth == 8;
    return (colour == 2 || colour == 4 || colour == 6) && (depth == 8 || depth == 16);
  }
};

std::unexpected<Error> fail(std::string_view what) {
  return invalid_argument(cat("PNG file: ", what));
}

uint8_t paeth(int a, int b, int c) {
  const int p = a + b - c;
  const int pa = std::abs(p - a);
  const int pb = std::abs(p - b);
  const int pc = std::abs(p - c);
  return static_cast<uint8_t>(pa <= pb && pa <= pc ? a : pb <= pc ? b : c);
}

/// Undoes a row's filter; `above` is the row before, zeros at first.
bool unfilter(uint8_t filter, std::span<uint8_t> row, std::span<const uint8_t> above, size_t step) {
  for (size_t i = 0; i < row.size(); ++i) {
    const int left = i >= step ? row[i - step] : 0;
    const int up = above[i];
    const int corner = i >= step ? above[i - step] : 0;
    int add = 0;
    switch (filter) {
      case 0:
        break;
      case 1:
        add = left;
        break;
      case 2:
        add = up;
        break;
      case 3:
        add = (left + up) / 2;
        break;
      case 4:
        add = paeth(left, up, corner);
        break;
      default:
        return false;
    }
    row[i] = static_cast<uint8_t>(row[i] + add);
  }
  return true;
}

/// One of the interlaced pictures, or the whole.
struct Pass {
  uint32_t x, y, dx, dy;
};
constexpr Pass kWhole[] = {{0, 0, 1, 1}};
constexpr Pass kAdam7[] = {{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4},
                           {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}};

}  // namespace

Result<Image> decode_png(Bytes file) {
  Reader in(file, true);
  in.skip(8);
  Header header;
  std::vector<uint8_t> packed;
  Bytes palette;
  while (true) {
    const uint32_t length = in.u32();
    const uint32_t kind = in.u32();
    const Bytes chunk = in.take(length);
    in.skip(4);
    if (in.ended()) return fail("it ends early");
    if (kind == 0x49484452) {  // IHDR
      Reader fields(chunk, true);
      header.width = fields.u32();
      header.height = fields.u32();
      header.depth = fields.u8();
      header.colour = fields.u8();
      fields.skip(2);
      header.interlaced = fields.u8() == 1;
      if (fields.ended() || !header.valid()) return fail("its header is wrong");
    } else if (kind == 0x504c5445) {  // PLTE
      palette = chunk;
    } else if (kind == 0x49444154) {  // IDAT
      packed.insert(packed.end(), chunk.begin(), chunk.end());
    } else if (kind == 0x49454e44) {  // IEND
      break;
    }
  }
  if (header.width == 0) return fail("it has no header");
  const bool paletted = header.colour == 3;
  QUERN_ASSIGN(Image image, new_image(header.width, header.height,
                                      paletted ? 3 : static_cast<uint32_t>(header.samples())));
  const size_t pixel_bits = static_cast<size_t>(header.samples() * header.depth);
  const size_t step = std::max<size_t>(pixel_bits / 8, 1);
  const std::span<const Pass> passes = header.interlaced ? std::span<const Pass>(kAdam7) : kWhole;
  const auto extent = [](uint32_t whole, uint32_t first, uint32_t by) {
    return whole > first ? (whole - first + by - 1) / by : 0;
  };
  size_t expected = 0;
  for (const Pass& p : passes) {
    const size_t w = extent(header.width, p.x, p.dx);
    if (w != 0) expected += (1 + (w * pixel_bits + 7) / 8) * extent(header.height, p.y, p.dy);
  }
  QUERN_ASSIGN(std::vector<uint8_t> data, inflate(packed, expected));
  if (data.size() < expected) return fail("its picture is not complete");

  size_t at = 0;
  for (const Pass& p : passes) {
    const size_t width = extent(header.width, p.x, p.dx);
    const size_t height = extent(header.height, p.y, p.dy);
    const size_t bytes = (width * pixel_bits + 7) / 8;
    if (width == 0) continue;
    std::vector<uint8_t> above(bytes);
    for (size_t y = 0; y < height; ++y) {
      const uint8_t filter = data[at++];
      const std::span<uint8_t> row(&data[at], bytes);
      at += bytes;
      if (!unfilter(filter, row, above, step)) return fail("a filter is unknown");
      std::copy(row.begin(), row.end(), above.begin());
      for (size_t x = 0; x < width; ++x) {
        uint8_t* to =
            &image.pixels[((p.y + y * p.dy) * header.width + p.x + x * p.dx) * image.channels];
        for (size_t s = 0; s < static_cast<size_t>(header.samples()); ++s) {
          const size_t sample = x * static_cast<size_t>(header.samples()) + s;
          if (header.depth >= 8) {
            to[s] = row[sample * static_cast<size_t>(header.depth) / 8];
            if (!paletted) continue;
          }
          const auto depth = static_cast<size_t>(header.depth);
          const size_t bit = sample * depth;
          const auto most = static_cast<uint8_t>((1u << depth) - 1);
          const uint8_t value =
              depth >= 8 ? to[s]
                         : static_cast<uint8_t>(row[bit / 8] >> (8 - depth - bit % 8) & most);
          if (!paletted) {
            to[s] = static_cast<uint8_t>(value * (255 / most));
          } else {
            if (palette.size() < (size_t{value} + 1) * 3) return fail("its palette is too short");
            std::copy_n(palette.begin() + value * 3, 3, to);
          }
        }
      }
    }
  }
  return image;
}

}  // namespace quern::image
