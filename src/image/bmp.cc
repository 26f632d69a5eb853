// BMP: palettes of 1, 4 and 8 bits, 16, 24 and 32 bits, run lengths, from the bottom or the top.

#include <algorithm>
#include <array>
#include <bit>

#include "image/image.h"
#include "image/reader.h"

namespace quern::image {
namespace {

std::unexpected<Error> fail(std::string_view what) {
  return invalid_argument(cat("BMP file: ", what));
}

/// The bits of a pixel that make one channel, scaled to 255.
struct Mask {
  uint32_t bits = 0;

  [[nodiscard]] uint8_t value(uint32_t pixel) const {
    if (bits == 0) return 0;
    const uint32_t low = static_cast<uint32_t>(std::countr_zero(bits));
    const uint64_t most = bits >> low;
    const uint64_t value = (pixel & bits) >> low;
    return static_cast<uint8_t>((value * 255 + most / 2) / most);
  }
};

struct Header {
  uint32_t width = 0;
  uint32_t height = 0;
  bool from_top = false;
  uint32_t bits = 0;
  uint32_t compression = 0;
  std::array<Mask, 3> masks;
  std::vector<std::array<uint8_t, 3>> palette;
  size_t data = 0;
};

Result<Header> read_header(Bytes file) {
  Header header;
  Reader in(file);
  in.skip(10);
  header.data = in.u32();
  const uint32_t size = in.u32();
  const bool is_core = size == 12;
  if (size < 12 || (size < 40 && !is_core)) return fail("its header is of an unknown kind");
  uint32_t colours = 0;
  if (is_core) {
    header.width = in.u16();
    header.height = in.u16();
    in.skip(2);
    header.bits = in.u16();
  } else {
    header.width = in.u32();
    const auto height = static_cast<int32_t>(in.u32());
    header.from_top = height < 0;
    header.height = height < 0 ? 0u - static_cast<uint32_t>(height) : static_cast<uint32_t>(height);
    in.skip(2);
    header.bits = in.u16();
    header.compression = in.u32();
    in.skip(12);
    colours = in.u32();
    in.skip(4);
  }
  if (header.bits == 16) {
    header.masks = {Mask{0x7c00}, Mask{0x3e0}, Mask{0x1f}};
  } else if (header.bits == 32) {
    header.masks = {Mask{0xff0000}, Mask{0xff00}, Mask{0xff}};
  }
  if (header.compression == 3 || header.compression == 6) {
    if (header.bits != 16 && header.bits != 32) return fail("masks for pixels without");
    for (Mask& mask : header.masks) mask.bits = in.u32();
    header.compression = 0;
  }
  const uint32_t b = header.bits;
  const bool rle = header.compression != 0;
  if (rle && (header.compression > 2 || b != (header.compression == 1 ? 8u : 4u))) {
    return unsupported(cat("BMP file: compression ", header.compression));
  }
  if (b <= 8) {
    if (b != 1 && b != 2 && b != 4 && b != 8) return fail(cat("it has ", b, " bits a pixel"));
    in.seek(14 + size_t{size});
    if (colours == 0 || colours > 1u << b) colours = 1u << b;
    for (uint32_t i = 0; i < colours; ++i) {
      const uint8_t blue = in.u8();
      const uint8_t green = in.u8();
      const uint8_t red = in.u8();
      if (!is_core) in.skip(1);
      header.palette.push_back({red, green, blue});
    }
  } else if (b != 16 && b != 24 && b != 32) {
    return fail(cat("it has ", b, " bits a pixel"));
  }
  if (in.ended()) return fail("it ends early");
  return header;
}

/// Palette indices of a run-length coded picture, rows as they come.
Result<std::vector<uint8_t>> unpack(Bytes data, const Header& header) {
  std::vector<uint8_t> out(size_t{header.width} * header.height);
  size_t x = 0;
  size_t y = 0;
  Reader in(data);
  const bool nibbles = header.bits == 4;
  const auto put = [&](uint8_t index) {
    if (x < header.width && y < header.height) out[y * header.width + x] = index;
    ++x;
  };
  while (!in.ended() && y < header.height) {
    const uint32_t count = in.u8();
    const uint8_t value = in.u8();
    if (count > 0) {
      for (uint32_t i = 0; i < count; ++i) {
        put(!nibbles ? value : static_cast<uint8_t>(i % 2 == 0 ? value >> 4 : value & 15));
      }
    } else if (value == 0) {
      x = 0;
      ++y;
    } else if (value == 1) {
      break;
    } else if (value == 2) {
      x += in.u8();
      y += in.u8();
    } else {
      uint8_t byte = 0;
      for (uint32_t i = 0; i < value; ++i) {
        if (!nibbles || i % 2 == 0) byte = in.u8();
        put(!nibbles ? byte : static_cast<uint8_t>(i % 2 == 0 ? byte >> 4 : byte & 15));
      }
      const uint32_t bytes = nibbles ? (value + 1u) / 2 : value;
      if (bytes % 2 != 0) in.skip(1);
    }
  }
  return out;
}

}  // namespace

Result<Image> decode_bmp(Bytes file) {
  QUERN_ASSIGN(const Header header, read_header(file));
  QUERN_ASSIGN(Image image, new_image(header.width, header.height, 3));
  const Bytes data = file.subspan(std::min(header.data, file.size()));
  std::vector<uint8_t> indices;
  if (header.compression != 0) {
    QUERN_ASSIGN(indices, unpack(data, header));
  }
  const size_t row_bytes = (size_t{header.width} * header.bits + 31) / 32 * 4;
  if (indices.empty() && data.size() / row_bytes < header.height) {
    // The last row's padding may be missing.
    const size_t needed =
        row_bytes * (header.height - 1) + (size_t{header.width} * header.bits + 7) / 8;
    if (data.size() < needed) return fail("it ends early");
  }
  for (size_t y = 0; y < header.height; ++y) {
    uint8_t* to = &image.pixels[(header.from_top ? y : header.height - 1 - y) * image.row_bytes()];
    for (size_t x = 0; x < header.width; ++x, to += 3) {
      if (header.bits <= 8) {
        size_t index = 0;
        if (!indices.empty()) {
          index = indices[y * header.width + x];
        } else {
          const size_t bit = x * header.bits;
          index = data[y * row_bytes + bit / 8] >> (8 - header.bits - bit % 8) &
                  ((1u << header.bits) - 1);
        }
        if (index >= header.palette.size()) return fail("its palette is too short");
        std::ranges::copy(header.palette[index], to);
        continue;
      }
      const uint8_t* from = &data[y * row_bytes + x * header.bits / 8];
      if (header.bits == 24) {
        to[0] = from[2];
        to[1] = from[1];
        to[2] = from[0];
        continue;
      }
      uint32_t pixel = 0;
      for (size_t i = 0; i < header.bits / 8; ++i) pixel |= uint32_t{from[i]} << (8 * i);
      for (size_t c = 0; c < 3; ++c) to[c] = header.masks[c].value(pixel);
    }
  }
  return image;
}

}  // namespace quern::image
