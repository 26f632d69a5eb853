#include "image/image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string>

#include "image/image_testing.h"

namespace quern::image {
namespace {

using testing::Fixture;
using testing::fixtures;
using testing::from_base64;

class Fixtures : public ::testing::TestWithParam<Fixture> {};

TEST_P(Fixtures, HaveTheirPixels) {
  const Fixture& f = GetParam();
  auto image = decode(from_base64(f.file));
  ASSERT_TRUE(image) << image.error().message;
  *image = to_rgb(*std::move(image));
  ASSERT_EQ(image->width, f.width);
  ASSERT_EQ(image->height, f.height);
  const std::vector<uint8_t> want = from_base64(f.pixels);
  const size_t count = size_t{f.width} * f.height;
  ASSERT_EQ(image->pixels.size(), count * 3);
  ASSERT_EQ(want.size(), count * f.channels);
  for (size_t i = 0; i < count; ++i) {
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(image->pixels[i * 3 + c], want[i * f.channels + c], f.tolerance)
          << "pixel " << i << " channel " << c;
    }
  }
}

/// Any part of a file is a picture of those dims, or an error: no more.
TEST_P(Fixtures, CutShort) {
  const Fixture& f = GetParam();
  const std::vector<uint8_t> file = from_base64(f.file);
  for (size_t size = 0; size < file.size(); ++size) {
    // In a vector of its own, so that a sanitizer sees what is read past the end.
    const std::vector<uint8_t> part(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
    const auto image = decode(part);
    if (!image) {
      EXPECT_NE(image.error().code, ErrorCode::kInternal) << size;
      continue;
    }
    EXPECT_EQ(image->width, f.width) << size;
    EXPECT_EQ(image->pixels.size(), image->row_bytes() * image->height) << size;
  }
}

TEST_P(Fixtures, WithOtherBytes) {
  const std::vector<uint8_t> file = from_base64(GetParam().file);
  for (size_t at = 0; at < file.size(); ++at) {
    for (const int change : {0x01, 0x80, 0xff}) {
      std::vector<uint8_t> other = file;
      other[at] = static_cast<uint8_t>(other[at] ^ change);
      const auto image = decode(other);
      if (!image) {
        EXPECT_NE(image.error().code, ErrorCode::kInternal) << at;
      } else {
        EXPECT_EQ(image->pixels.size(), image->row_bytes() * image->height) << at;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Image, Fixtures, ::testing::ValuesIn(fixtures()),
                         [](const auto& info) { return std::string(info.param.name); });

void put(std::vector<uint8_t>& out, uint64_t value, int bytes, bool big_endian = true) {
  for (int i = 0; i < bytes; ++i) {
    out.push_back(static_cast<uint8_t>(value >> 8 * (big_endian ? bytes - 1 - i : i)));
  }
}

void put(std::vector<uint8_t>& out, std::string_view text) {
  out.insert(out.end(), text.begin(), text.end());
}

/// A zlib stream that holds the bytes as they are.
std::vector<uint8_t> stored(std::span<const uint8_t> bytes) {
  std::vector<uint8_t> out{0x78, 0x01, 0x01};
  put(out, bytes.size(), 2, false);
  put(out, ~bytes.size(), 2, false);
  out.insert(out.end(), bytes.begin(), bytes.end());
  put(out, 0, 4);  // the check sum, which is not looked at
  return out;
}

struct Png {
  uint32_t width = 0;
  uint32_t height = 0;
  int depth = 8;
  int colour = 2;
  bool interlaced = false;
  std::vector<uint8_t> palette;

  [[nodiscard]] uint32_t samples() const {
    return colour == 2 ? 3 : colour == 4 ? 2 : colour == 6 ? 4 : 1;
  }
  /// Made up: any number of `depth` bits.
  [[nodiscard]] uint32_t sample(uint32_t x, uint32_t y, uint32_t c) const {
    return (x * 2654435761u ^ y * 40503u ^ c * 977u ^ x * y * 7919u) >> 5 & ((1u << depth) - 1);
  }

  void append_pass(std::vector<uint8_t>& out, uint32_t x0, uint32_t y0, uint32_t dx,
                   uint32_t dy) const {
    if (x0 >= width) return;
    const size_t step = std::max<size_t>(samples() * static_cast<uint32_t>(depth) / 8, 1);
    std::vector<uint8_t> above;
    uint8_t filter = 0;
    for (uint32_t y = y0; y < height; y += dy) {
      std::vector<uint8_t> row;
      size_t bit = 0;
      for (uint32_t x = x0; x < width; x += dx) {
        for (uint32_t c = 0; c < samples(); ++c) {
          for (int b = depth; b-- > 0; ++bit) {
            if (bit % 8 == 0) row.push_back(0);
            row.back() |= static_cast<uint8_t>((sample(x, y, c) >> b & 1) << (7 - bit % 8));
          }
        }
      }
      above.resize(row.size());
      out.push_back(filter);
      for (size_t i = 0; i < row.size(); ++i) {
        const int left = i >= step ? row[i - step] : 0;
        const int corner = i >= step ? above[i - step] : 0;
        const int guess = left + above[i] - corner;
        int nearest = left;
        if (std::abs(guess - above[i]) < std::abs(guess - nearest)) nearest = above[i];
        if (std::abs(guess - corner) < std::abs(guess - nearest)) nearest = corner;
        const int predicted[] = {0, left, above[i], (left + above[i]) / 2, nearest};
        out.push_back(static_cast<uint8_t>(row[i] - predicted[filter]));
      }
      above = row;
      filter = static_cast<uint8_t>((filter + 1) % 5);
    }
  }

  [[nodiscard]] std::vector<uint8_t> file() const {
    std::vector<uint8_t> out;
    put(out, "\x89PNG\r\n\x1a\n");
    const auto chunk = [&](std::string_view kind, std::span<const uint8_t> bytes) {
      put(out, bytes.size(), 4);
      put(out, kind);
      out.insert(out.end(), bytes.begin(), bytes.end());
      put(out, 0, 4);  // the check sum, which is not looked at
    };
    std::vector<uint8_t> header;
    put(header, width, 4);
    put(header, height, 4);
    for (const int byte : {depth, colour, 0, 0, interlaced ? 1 : 0}) {
      header.push_back(static_cast<uint8_t>(byte));
    }
    chunk("IHDR", header);
    if (!palette.empty()) chunk("PLTE", palette);
    std::vector<uint8_t> rows;
    if (interlaced) {
      append_pass(rows, 0, 0, 8, 8);
      append_pass(rows, 4, 0, 8, 8);
      append_pass(rows, 0, 4, 4, 8);
      append_pass(rows, 2, 0, 4, 4);
      append_pass(rows, 0, 2, 2, 4);
      append_pass(rows, 1, 0, 2, 2);
      append_pass(rows, 0, 1, 1, 2);
    } else {
      append_pass(rows, 0, 0, 1, 1);
    }
    const std::vector<uint8_t> data = stored(rows);
    const size_t half = data.size() / 2;
    chunk("IDAT", std::span(data).first(half));
    chunk("tEXt", {});
    chunk("IDAT", std::span(data).subspan(half));
    chunk("IEND", {});
    return out;
  }
};

TEST(Png, EveryColourTypeAndDepth) {
  constexpr struct {
    int colour;
    std::array<int, 5> depths;
  } kKinds[] = {{0, {1, 2, 4, 8, 16}}, {2, {8, 16}}, {3, {1, 2, 4, 8}}, {4, {8, 16}}, {6, {8, 16}}};
  for (const auto& kind : kKinds) {
    for (const int depth : kind.depths) {
      if (depth == 0) continue;
      for (const uint32_t size : {1u, 2u, 5u, 8u, 13u}) {
        for (const bool interlaced : {false, true}) {
          SCOPED_TRACE(cat("colour ", kind.colour, " depth ", depth, " size ", size,
                           interlaced ? " interlaced" : ""));
          Png png{size, size + 3, depth, kind.colour, interlaced, {}};
          if (kind.colour == 3) {
            for (int i = 0; i < 3 << depth; ++i) png.palette.push_back(static_cast<uint8_t>(i * 7));
          }
          const auto image = decode(png.file());
          ASSERT_TRUE(image) << image.error().message;
          ASSERT_EQ(image->width, png.width);
          ASSERT_EQ(image->height, png.height);
          ASSERT_EQ(image->channels, kind.colour == 3 ? 3 : png.samples());
          const uint8_t* at = image->pixels.data();
          for (uint32_t y = 0; y < png.height; ++y) {
            for (uint32_t x = 0; x < png.width; ++x) {
              for (uint32_t c = 0; c < image->channels; ++c) {
                const uint32_t v = png.sample(x, y, kind.colour == 3 ? 0 : c);
                const uint32_t want = kind.colour == 3 ? png.palette[v * 3 + c]
                                      : depth == 16    ? v >> 8
                                                       : v * 255 / ((1u << depth) - 1);
                ASSERT_EQ(*at++, want) << x << ", " << y << ", " << c;
              }
            }
          }
        }
      }
    }
  }
}

std::string error_of(std::span<const uint8_t> file, ErrorCode code = ErrorCode::kInvalidArgument) {
  const auto image = decode(file);
  if (image) return "none";
  EXPECT_EQ(image.error().code, code) << image.error().message;
  return image.error().message;
}

TEST(Png, Errors) {
  EXPECT_EQ(error_of(Png{4, 4, 3, 2, false, {}}.file()), "PNG file: its header is wrong");
  EXPECT_EQ(error_of(Png{4, 4, 4, 2, false, {}}.file()), "PNG file: its header is wrong");
  EXPECT_EQ(error_of(Png{4, 4, 8, 5, false, {}}.file()), "PNG file: its header is wrong");
  EXPECT_EQ(error_of(Png{4, 0, 8, 2, false, {}}.file()), "a picture without pixels");
  EXPECT_EQ(error_of(Png{4, 4, 8, 3, false, {1, 2, 3}}.file()),
            "PNG file: its palette is too short");
  std::vector<uint8_t> file = Png{2, 2, 8, 2, false, {}}.file();
  // Its header says that it is larger than its data, and too large.
  file[19] = 9;
  EXPECT_EQ(error_of(file), "PNG file: its picture is not complete");
  file[16] = file[20] = 0x7f;
  EXPECT_EQ(error_of(file, ErrorCode::kLimit), "a picture of 2130706441 x 2130706434 pixels");
}

std::vector<uint8_t> bmp(int32_t width, int32_t height, uint32_t bits, uint32_t compression,
                         std::span<const uint8_t> palette, std::span<const uint8_t> data) {
  std::vector<uint8_t> out;
  put(out, "BM");
  put(out, 54 + palette.size() + data.size(), 4, false);
  put(out, 0, 4, false);
  put(out, 54 + palette.size(), 4, false);
  put(out, 40, 4, false);
  put(out, static_cast<uint32_t>(width), 4, false);
  put(out, static_cast<uint32_t>(height), 4, false);
  put(out, 1, 2, false);
  put(out, bits, 2, false);
  put(out, compression, 4, false);
  out.insert(out.end(), 12, 0);
  put(out, bits <= 8 ? palette.size() / 4 : 0, 4, false);
  put(out, 0, 4, false);
  out.insert(out.end(), palette.begin(), palette.end());
  out.insert(out.end(), data.begin(), data.end());
  return out;
}

std::vector<int> pixels_of(const std::vector<uint8_t>& file) {
  const auto image = decode(file);
  EXPECT_TRUE(image) << image.error().message;
  return image ? std::vector<int>(image->pixels.begin(), image->pixels.end()) : std::vector<int>();
}

TEST(Bmp, BitsAndDirections) {
  const std::vector<uint8_t> two = {1, 2, 3, 0, 4, 5, 6, 0};  // blue, green, red
  using V = std::vector<int>;
  // Rows of four bytes, from the bottom.
  const std::vector<uint8_t> bits = {0x40, 0, 0, 0, 0x80, 0, 0, 0};
  EXPECT_EQ(pixels_of(bmp(2, 2, 1, 0, two, bits)), (V{6, 5, 4, 3, 2, 1, 3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(pixels_of(bmp(2, -2, 1, 0, two, bits)), (V{3, 2, 1, 6, 5, 4, 6, 5, 4, 3, 2, 1}));
  const std::vector<uint8_t> nibbles = {0x10, 0x10, 0, 0};
  EXPECT_EQ(pixels_of(bmp(3, 1, 4, 0, two, nibbles)), (V{6, 5, 4, 3, 2, 1, 6, 5, 4}));
  EXPECT_EQ(pixels_of(bmp(2, 1, 8, 0, two, std::vector<uint8_t>{1, 0, 0, 0})),
            (V{6, 5, 4, 3, 2, 1}));
  // 0 red, 31 green of 5 bits each, then all of them.
  EXPECT_EQ(pixels_of(bmp(2, 1, 16, 0, {}, std::vector<uint8_t>{0xe0, 0x03, 0xff, 0x7f})),
            (V{0, 255, 0, 255, 255, 255}));
  EXPECT_EQ(pixels_of(bmp(1, 1, 24, 0, {}, std::vector<uint8_t>{1, 2, 3, 0})), (V{3, 2, 1}));
  EXPECT_EQ(pixels_of(bmp(1, 1, 32, 0, {}, std::vector<uint8_t>{1, 2, 3, 9})), (V{3, 2, 1}));
}

TEST(Bmp, RunLengths) {
  const std::vector<uint8_t> palette = {0, 0, 0, 0, 1, 1, 1, 0, 2, 2, 2, 0, 3, 3, 3, 0};
  const auto grays = [&](const std::vector<uint8_t>& file) {
    std::vector<int> rgb = pixels_of(file);
    std::vector<int> out;
    for (size_t i = 0; i < rgb.size(); i += 3) out.push_back(rgb[i]);
    return out;
  };
  using V = std::vector<int>;
  // Three ones; then literally 2, 3, 1 (and a byte to be even); the end.
  const std::vector<uint8_t> runs = {3, 1, 0, 0, 0, 3, 2, 3, 1, 0, 0, 1};
  EXPECT_EQ(grays(bmp(3, 2, 8, 1, palette, runs)), (V{2, 3, 1, 1, 1, 1}));
  // A step of one right and one up.
  const std::vector<uint8_t> step = {1, 1, 0, 2, 1, 1, 1, 2, 0, 1};
  EXPECT_EQ(grays(bmp(3, 2, 8, 1, palette, step)), (V{0, 0, 2, 1, 0, 0}));
  const std::vector<uint8_t> nibbles = {3, 0x12, 0, 0, 0, 3, 0x23, 0x10, 0, 1};
  EXPECT_EQ(grays(bmp(3, 2, 4, 2, palette, nibbles)), (V{2, 3, 1, 1, 2, 1}));
  // Runs past a row's end and the last row are left away.
  EXPECT_EQ(grays(bmp(2, 1, 8, 1, palette, std::vector<uint8_t>{9, 3, 0, 0, 9, 2})), (V{3, 3}));
}

TEST(Bmp, Errors) {
  EXPECT_EQ(error_of(bmp(2, 2, 24, 0, {}, std::vector<uint8_t>(9))), "BMP file: it ends early");
  EXPECT_EQ(error_of(bmp(2, 2, 5, 0, {}, {})), "BMP file: it has 5 bits a pixel");
  EXPECT_EQ(error_of(bmp(1, 1, 24, 1, {}, {}), ErrorCode::kUnsupported), "BMP file: compression 1");
  EXPECT_EQ(error_of(bmp(0, 1, 24, 0, {}, {})), "a picture without pixels");
  EXPECT_EQ(error_of(bmp(1, INT32_MIN, 24, 0, {}, {}), ErrorCode::kLimit),
            "a picture of 1 x 2147483648 pixels");
  EXPECT_EQ(
      error_of(bmp(INT32_MAX, INT32_MAX, 8, 0, std::vector<uint8_t>(4), {}), ErrorCode::kLimit),
      "a picture of 2147483647 x 2147483647 pixels");
}

std::vector<int> pnm(std::string_view text) {
  return pixels_of(std::vector<uint8_t>(text.begin(), text.end()));
}
std::string pnm_error(std::string_view text, ErrorCode code = ErrorCode::kInvalidArgument) {
  return error_of(std::vector<uint8_t>(text.begin(), text.end()), code);
}

TEST(Pnm, EveryKind) {
  using namespace std::string_view_literals;
  using V = std::vector<int>;
  EXPECT_EQ(pnm("P1\n# bits\n3 2\n101\n0 1 0"), (V{0, 255, 0, 255, 0, 255}));
  EXPECT_EQ(pnm("P2 2 1 10 5 10"), (V{128, 255}));
  EXPECT_EQ(pnm("P3 1 1 255 1 2 3"), (V{1, 2, 3}));
  EXPECT_EQ(pnm("P4 9 1\n\x80\x80"sv), (V{0, 255, 255, 255, 255, 255, 255, 255, 0}));
  EXPECT_EQ(pnm("P5 2 1 255\n\x00\xff"sv), (V{0, 255}));
  EXPECT_EQ(pnm("P5 2 1 65535\n\x00\x00\xff\xff"sv), (V{0, 255}));
  EXPECT_EQ(pnm("P6 1 1 255\nabc"), (V{'a', 'b', 'c'}));
}

TEST(Pnm, Errors) {
  EXPECT_EQ(pnm_error("P6 1 1 255\nab"), "PNM file: it ends early");
  EXPECT_EQ(pnm_error("P3 1 1 255 1 2"), "PNM file: it ends early");
  EXPECT_EQ(pnm_error("P5 1 1 70000\na"), "PNM file: its header is wrong");
  EXPECT_EQ(pnm_error("P5 1\n"), "PNM file: its header is wrong");
  EXPECT_EQ(pnm_error("P5 99999999999999999999 99999999999999999999 255\n", ErrorCode::kLimit),
            "a picture of 2147483647 x 2147483647 pixels");
}

TEST(Image, UnknownFormats) {
  for (const std::string_view text : {"", "P", "GIF89a", "RIFF....WAVE", "\x89PNG", "BM"}) {
    EXPECT_NE(pnm_error(text), "none") << text;
  }
}

TEST(Image, ToRgbAndGray) {
  const Image with_alpha{2, 1, 4, {10, 20, 30, 0, 255, 255, 255, 7}};
  EXPECT_EQ(to_rgb(with_alpha).pixels, (std::vector<uint8_t>{10, 20, 30, 255, 255, 255}));
  // 0.299 * 10 + 0.587 * 20 + 0.114 * 30 = 18.15
  EXPECT_EQ(to_gray(with_alpha).pixels, (std::vector<uint8_t>{18, 255}));
  const Image gray_alpha{2, 1, 2, {9, 1, 8, 2}};
  EXPECT_EQ(to_rgb(gray_alpha).pixels, (std::vector<uint8_t>{9, 9, 9, 8, 8, 8}));
  EXPECT_EQ(to_gray(gray_alpha).pixels, (std::vector<uint8_t>{9, 8}));
}

TEST(Inflate, BlocksOfAllKinds) {
  // "aaaaaaaaaa" with fixed codes, by zlib.
  const std::vector<uint8_t> fixed = {0x78, 0x9c, 0x4b, 0x84, 0x03, 0x00, 0x14, 0xe1, 0x03, 0xcb};
  const auto text = inflate(fixed, 100);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_EQ(std::string(text->begin(), text->end()), "aaaaaaaaaa");
  const std::vector<uint8_t> raw = {1, 2, 3};
  EXPECT_EQ(inflate(stored(raw), 3).value(), raw);
  // No more than the limit, whatever the stream holds.
  const auto less = inflate(fixed, 4);
  if (less) EXPECT_LE(less->size(), 4u);
  for (size_t size = 0; size + 4 < fixed.size(); ++size) {
    const auto part = inflate(Bytes(fixed).first(size), 100);
    if (part) EXPECT_LE(part->size(), 10u);
  }
}

}  // namespace
}  // namespace quern::image
