// WebP's lossless format: prefix codes, copies, a cache of colours, and what was done to the pixels
// before.

#include <algorithm>

#include "image/vp8.h"
#include "image/vp8_tables.h"

namespace quern::image {
namespace {

using Pixels = std::vector<uint32_t>;  // ARGB

std::unexpected<Error> fail() {
  return invalid_argument("WebP file: its lossless data is malformed");
}

class BitReader {
 public:
  explicit BitReader(Bytes data) : data_(data) {}

  uint32_t bits(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value |= bit() << i;
    return value;
  }
  uint32_t bit() {
    const size_t byte = at_ >> 3;
    if (byte >= data_.size()) {
      ended_ = true;
      return 0;
    }
    return data_[byte] >> (at_++ & 7) & 1;
  }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  Bytes data_;
  size_t at_ = 0;
  bool ended_ = false;
};

/// A canonical code; a code of one symbol has no bits.
class PrefixCode {
 public:
  bool build(const std::vector<uint8_t>& lengths) {
    count_.fill(0);
    symbols_.clear();
    for (const uint8_t length : lengths) ++count_[length];
    count_[0] = 0;
    int left = 1;
    size_t used = 0;
    for (size_t i = 1; i <= kLongest; ++i) {
      left = left * 2 - static_cast<int>(count_[i]);
      used += count_[i];
      if (left < 0) return false;
    }
    for (size_t length = 1; length <= kLongest; ++length) {
      for (size_t s = 0; s < lengths.size(); ++s) {
        if (lengths[s] == length) symbols_.push_back(static_cast<uint16_t>(s));
      }
    }
    return used == 1 || left == 0;
  }
  void set_single(uint32_t symbol) { symbols_ = {static_cast<uint16_t>(symbol)}; }

  uint32_t read(BitReader& in) const {
    if (symbols_.size() == 1) return symbols_[0];
    uint32_t code = 0;
    uint32_t first = 0;
    uint32_t index = 0;
    for (size_t length = 1; length <= kLongest; ++length) {
      code |= in.bit();
      if (code - first < count_[length]) return symbols_[index + code - first];
      index += count_[length];
      first = (first + count_[length]) * 2;
      code *= 2;
    }
    return 0;
  }

 private:
  static constexpr size_t kLongest = 15;
  std::array<uint32_t, kLongest + 1> count_{};
  std::vector<uint16_t> symbols_;
};

/// Codes for green and lengths, red, blue, alpha, distances.
using CodeGroup = std::array<PrefixCode, 5>;

uint32_t divided(uint32_t size, uint32_t bits) { return (size + (1u << bits) - 1) >> bits; }

uint32_t added(uint32_t a, uint32_t b) {
  return ((a & 0xff00ff00u) + (b & 0xff00ff00u) & 0xff00ff00u) |
         ((a & 0x00ff00ffu) + (b & 0x00ff00ffu) & 0x00ff00ffu);
}

uint32_t average(uint32_t a, uint32_t b) { return (((a ^ b) & 0xfefefefeu) >> 1) + (a & b); }

template <class F>
uint32_t by_channel(F f) {
  uint32_t out = 0;
  for (uint32_t shift = 0; shift < 32; shift += 8) {
    out |= static_cast<uint32_t>(std::clamp(f(shift), 0, 255)) << shift;
  }
  return out;
}
int channel(uint32_t pixel, uint32_t shift) { return static_cast<int>(pixel >> shift & 255); }

uint32_t selected(uint32_t left, uint32_t top, uint32_t corner) {
  int from_left = 0;
  int from_top = 0;
  for (uint32_t s = 0; s < 32; s += 8) {
    from_left += std::abs(channel(top, s) - channel(corner, s));
    from_top += std::abs(channel(left, s) - channel(corner, s));
  }
  return from_left < from_top ? left : top;
}

uint32_t predicted(uint32_t mode, uint32_t left, const uint32_t* above) {
  const uint32_t top = above[0];
  const uint32_t corner = above[-1];
  const uint32_t right = above[1];
  switch (mode) {
    case 1:
      return left;
    case 2:
      return top;
    case 3:
      return right;
    case 4:
      return corner;
    case 5:
      return average(average(left, right), top);
    case 6:
      return average(left, corner);
    case 7:
      return average(left, top);
    case 8:
      return average(corner, top);
    case 9:
      return average(top, right);
    case 10:
      return average(average(left, corner), average(top, right));
    case 11:
      return selected(left, top, corner);
    case 12:
      return by_channel(
          [&](uint32_t s) { return channel(left, s) + channel(top, s) - channel(corner, s); });
    case 13: {
      const uint32_t mean = average(left, top);
      return by_channel([&](uint32_t s) {
        return channel(mean, s) + (channel(mean, s) - channel(corner, s)) / 2;
      });
    }
    default:
      return 0xff000000u;
  }
}

struct Transform {
  uint32_t kind = 0;  // 0 prediction, 1 colours, 2 green, 3 palette
  uint32_t bits = 0;
  uint32_t width = 0;  // of the picture before it was done
  Pixels data;
};

class Decoder {
 public:
  explicit Decoder(Bytes data) : in_(data) {}

  Result<Image> run() {
    if (in_.bits(8) != 0x2f) return fail();
    const uint32_t width = in_.bits(14) + 1;
    const uint32_t height = in_.bits(14) + 1;
    in_.bits(4);
    QUERN_ASSIGN(Image image, new_image(width, height, 3));
    std::vector<Transform> transforms;
    uint32_t coded_width = width;
    uint32_t seen = 0;
    while (in_.bit() != 0) {
      Transform t;
      t.kind = in_.bits(2);
      t.width = coded_width;
      if ((seen >> t.kind & 1) != 0 || in_.ended()) return fail();
      seen |= 1u << t.kind;
      if (t.kind < 2) {
        t.bits = in_.bits(3) + 2;
        QUERN_ASSIGN(t.data, picture(divided(coded_width, t.bits), divided(height, t.bits), false));
      } else if (t.kind == 3) {
        const uint32_t size = in_.bits(8) + 1;
        QUERN_ASSIGN(t.data, picture(size, 1, false));
        for (size_t i = 1; i < t.data.size(); ++i) t.data[i] = added(t.data[i], t.data[i - 1]);
        t.bits = size <= 2 ? 3 : size <= 4 ? 2 : size <= 16 ? 1 : 0;
        coded_width = divided(coded_width, t.bits);
      }
      transforms.push_back(std::move(t));
    }
    QUERN_ASSIGN(Pixels pixels, picture(coded_width, height, true));
    for (size_t i = transforms.size(); i-- > 0;) undo(transforms[i], height, pixels);
    for (size_t i = 0; i < pixels.size(); ++i) {
      for (size_t c = 0; c < 3; ++c) {
        image.pixels[i * 3 + c] = static_cast<uint8_t>(pixels[i] >> (16 - 8 * c));
      }
    }
    return image;
  }

 private:
  Result<void> read_code(uint32_t alphabet, PrefixCode& code) {
    std::vector<uint8_t> lengths(alphabet);
    if (in_.bit() != 0) {
      const uint32_t two = in_.bit();
      const uint32_t first = in_.bits(in_.bit() != 0 ? 8 : 1);
      if (first >= alphabet) return fail();
      if (two == 0) {
        code.set_single(first);
        return {};
      }
      const uint32_t second = in_.bits(8);
      if (second >= alphabet) return fail();
      lengths[first] = 1;
      lengths[second] = 1;
    } else {
      constexpr uint8_t kOrder[] = {17, 18, 0, 1,  2,  3,  4,  5,  16, 6,
                                    7,  8,  9, 10, 11, 12, 13, 14, 15};
      std::vector<uint8_t> own(19);
      const uint32_t count = 4 + in_.bits(4);
      if (count > 19) return fail();
      for (uint32_t i = 0; i < count; ++i) own[kOrder[i]] = static_cast<uint8_t>(in_.bits(3));
      PrefixCode of_lengths;
      if (!of_lengths.build(own)) return fail();
      uint32_t most = alphabet;
      if (in_.bit() != 0) {
        const uint32_t bits = 2 + 2 * in_.bits(3);
        most = 2 + in_.bits(static_cast<int>(bits));
        if (most > alphabet) return fail();
      }
      uint8_t previous = 8;
      for (uint32_t s = 0; s < alphabet && most-- > 0;) {
        const uint32_t symbol = of_lengths.read(in_);
        if (in_.ended()) return fail();
        if (symbol < 16) {
          lengths[s++] = static_cast<uint8_t>(symbol);
          if (symbol != 0) previous = static_cast<uint8_t>(symbol);
          continue;
        }
        const uint32_t repeat = symbol == 16   ? 3 + in_.bits(2)
                                : symbol == 17 ? 3 + in_.bits(3)
                                               : 11 + in_.bits(7);
        if (repeat > alphabet - s) return fail();
        for (uint32_t i = 0; i < repeat; ++i) lengths[s++] = symbol == 16 ? previous : 0;
      }
    }
    if (!code.build(lengths)) return fail();
    return {};
  }

  /// The number of a length or distance symbol.
  uint32_t extended(uint32_t symbol) {
    if (symbol < 4) return symbol + 1;
    const uint32_t extra = (symbol - 2) >> 1;
    return ((2 + (symbol & 1)) << extra) + in_.bits(static_cast<int>(extra)) + 1;
  }

  /// Codes and pixels. Pictures inside of others (data of transforms) have one group of codes.
  Result<Pixels> picture(uint32_t width, uint32_t height, bool is_main) {
    uint32_t cache_bits = 0;
    if (in_.bit() != 0) {
      cache_bits = in_.bits(4);
      if (cache_bits < 1 || cache_bits > 11) return fail();
    }
    uint32_t group_bits = 0;
    Pixels group_of;
    uint32_t group_count = 1;
    if (is_main && in_.bit() != 0) {
      group_bits = in_.bits(3) + 2;
      QUERN_ASSIGN(group_of,
                   picture(divided(width, group_bits), divided(height, group_bits), false));
      for (uint32_t& group : group_of) {
        group = group >> 8 & 0xffff;
        group_count = std::max(group_count, group + 1);
      }
    }
    const uint32_t cache_size = cache_bits == 0 ? 0 : 1u << cache_bits;
    std::vector<CodeGroup> groups;
    for (uint32_t g = 0; g < group_count; ++g) {
      CodeGroup group;
      const uint32_t alphabets[] = {256 + 24 + cache_size, 256, 256, 256, 40};
      for (size_t i = 0; i < 5; ++i) QUERN_TRY(read_code(alphabets[i], group[i]));
      if (in_.ended()) return fail();
      groups.push_back(std::move(group));
    }

    Pixels pixels;
    const size_t count = size_t{width} * height;
    // What is not read yet takes no memory: dims may lie.
    pixels.reserve(std::min<size_t>(count, 1 << 20));
    std::vector<uint32_t> cache(cache_size);
    const auto remember = [&](uint32_t pixel) {
      if (cache_bits != 0) cache[pixel * 0x1e35a7bdu >> (32 - cache_bits)] = pixel;
      pixels.push_back(pixel);
    };
    const uint32_t groups_across = divided(width, group_bits);
    while (pixels.size() < count) {
      size_t g = 0;
      if (!group_of.empty()) {
        const size_t x = pixels.size() % width;
        const size_t y = pixels.size() / width;
        g = group_of[(y >> group_bits) * groups_across + (x >> group_bits)];
      }
      const CodeGroup& group = groups[g];
      const uint32_t symbol = group[0].read(in_);
      if (in_.ended()) return fail();
      if (symbol < 256) {
        const uint32_t red = group[1].read(in_);
        const uint32_t blue = group[2].read(in_);
        const uint32_t alpha = group[3].read(in_);
        remember(alpha << 24 | red << 16 | symbol << 8 | blue);
      } else if (symbol < 256 + 24) {
        const uint32_t length = extended(symbol - 256);
        const uint32_t code = extended(group[4].read(in_));
        int64_t distance = int64_t{code} - 120;
        if (code <= 120) {
          const int8_t* near = kVp8lNear[code - 1];
          distance = std::max<int64_t>(near[0] + int64_t{near[1]} * width, 1);
        }
        if (distance > std::ssize(pixels) || length > count - pixels.size()) return fail();
        for (uint32_t i = 0; i < length; ++i) {
          remember(pixels[pixels.size() - static_cast<size_t>(distance)]);
        }
      } else {
        remember(cache[symbol - 256 - 24]);
      }
    }
    return pixels;
  }

  static void undo(const Transform& t, uint32_t height, Pixels& pixels) {
    const uint32_t across = divided(t.width, t.bits);
    const auto entry = [&](uint32_t x, uint32_t y) {
      return t.data[size_t{y >> t.bits} * across + (x >> t.bits)];
    };
    if (t.kind == 3) {
      Pixels out(size_t{t.width} * height);
      const uint32_t bits = 8 >> t.bits;
      for (uint32_t y = 0; y < height; ++y) {
        for (uint32_t x = 0; x < t.width; ++x) {
          const uint32_t packed = pixels[size_t{y} * across + (x >> t.bits)] >> 8 & 255;
          const uint32_t shift = (x & ((1u << t.bits) - 1)) * bits;
          const uint32_t index = packed >> shift & ((1u << bits) - 1);
          out[size_t{y} * t.width + x] = index < t.data.size() ? t.data[index] : 0;
        }
      }
      pixels = std::move(out);
      return;
    }
    for (uint32_t y = 0; y < height; ++y) {
      for (uint32_t x = 0; x < t.width; ++x) {
        uint32_t& pixel = pixels[size_t{y} * t.width + x];
        if (t.kind == 0) {
          const uint32_t* above = &pixel - t.width;
          const uint32_t guess = x == 0 && y == 0 ? 0xff000000u
                                 : y == 0         ? *(&pixel - 1)
                                 : x == 0         ? *above
                                          : predicted(entry(x, y) >> 8 & 15, *(&pixel - 1), above);
          pixel = added(pixel, guess);
          continue;
        }
        const uint32_t green = pixel >> 8 & 255;
        uint32_t red = pixel >> 16 & 255;
        uint32_t blue = pixel & 255;
        if (t.kind == 2) {
          red += green;
          blue += green;
        } else {
          const auto part = [](uint32_t weight, uint32_t colour) {
            return static_cast<uint32_t>(
                static_cast<int8_t>(weight) * static_cast<int8_t>(colour) >> 5);
          };
          const uint32_t weights = entry(x, y);
          red = (red + part(weights, green)) & 255;
          blue += part(weights >> 8, green) + part(weights >> 16, red);
        }
        pixel = (pixel & 0xff00ff00u) | (red & 255) << 16 | (blue & 255);
      }
    }
  }

  BitReader in_;
};

}  // namespace

Result<Image> decode_vp8l(Bytes data) { return Decoder(data).run(); }

}  // namespace quern::image
