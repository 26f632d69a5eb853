// JPEG files: markers, Huffman codes, baseline and progressive scans.
#include "image/jpeg.h"

#include <algorithm>

#include "image/reader.h"

namespace quern::image {
namespace {

constexpr uint8_t kNatural[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                  12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                  35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                  58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

constexpr int kMaxScans = 200;

std::unexpected<Error> fail(std::string_view what) {
  return invalid_argument(cat("JPEG file: ", what));
}

struct HuffmanCode {
  std::array<int32_t, 17> first{};  ///< the first code of each length
  std::array<int32_t, 17> count{};
  std::array<int32_t, 17> index{};  ///< of its symbol
  std::vector<uint8_t> symbols;

  bool build(Bytes counts, Bytes values) {
    int32_t code = 0;
    int32_t at = 0;
    for (size_t length = 1; length <= 16; ++length) {
      first[length] = code;
      index[length] = at;
      count[length] = counts[length - 1];
      code += count[length];
      at += count[length];
      if (code > 1 << length) return false;
      code *= 2;
    }
    symbols.assign(values.begin(), values.end());
    return true;
  }
};

/// Bits of a scan, without the zeros that stand after 0xff, up to the next marker.
class BitReader {
 public:
  BitReader(Bytes data, size_t at) : data_(data), at_(at) {}

  uint32_t bit() {
    if (have_ == 0) fill();
    --have_;
    return hold_ >> have_ & 1;
  }
  uint32_t bits(int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value = value * 2 + bit();
    return value;
  }
  /// A number of `count` bits whose first bit says its sign.
  int32_t number(int count) {
    if (count == 0) return 0;
    const auto value = static_cast<int32_t>(bits(count));
    return value < 1 << (count - 1) ? value - (1 << count) + 1 : value;
  }
  /// -1 where no code fits.
  int symbol(const HuffmanCode& code) {
    int32_t value = 0;
    for (size_t length = 1; length <= 16; ++length) {
      value = value * 2 + static_cast<int32_t>(bit());
      const int32_t offset = value - code.first[length];
      if (offset < code.count[length]) {
        return offset < 0 ? -1 : code.symbols[static_cast<size_t>(code.index[length] + offset)];
      }
    }
    return -1;
  }
  /// More bits were asked for than there are: by more than a decoder may read ahead.
  [[nodiscard]] bool ended() const { return missing_ > 64; }
  [[nodiscard]] size_t at() const { return at_; }
  /// Drops the rest of a byte and a restart marker.
  void restart() {
    have_ = 0;
    missing_ = 0;
    if (at_ + 1 < data_.size() && data_[at_] == 0xff && data_[at_ + 1] >= 0xd0 &&
        data_[at_ + 1] <= 0xd7) {
      at_ += 2;
    }
  }

 private:
  void fill() {
    have_ = 8;
    hold_ = 0;
    if (at_ >= data_.size() ||
        (data_[at_] == 0xff && (at_ + 1 >= data_.size() || data_[at_ + 1] != 0))) {
      ++missing_;
      return;
    }
    hold_ = data_[at_];
    at_ += data_[at_] == 0xff ? 2 : 1;
  }

  Bytes data_;
  size_t at_;
  uint32_t hold_ = 0;
  int have_ = 0;
  int missing_ = 0;
};

/// What a scan codes: coefficients `first` to `last`, from bit `low` on; `high`: what came before.
struct Scan {
  int first = 0;
  int last = 63;
  int high = 0;
  int low = 0;
};

class Decoder {
 public:
  explicit Decoder(Bytes file) : file_(file) {}

  Result<Image> run() {
    Reader in(file_, true);
    in.skip(2);
    int scans = 0;
    while (true) {
      uint8_t marker = in.u8();
      if (in.ended()) return fail("it ends early");
      if (marker != 0xff) continue;
      while (marker == 0xff && !in.ended()) marker = in.u8();
      if (marker == 0xd9) break;
      if (marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8)) continue;
      const uint16_t length = in.u16();
      if (length < 2) return fail("a marker's length is wrong");
      const Bytes body = in.take(length - 2u);
      if (in.ended()) return fail("it ends early");
      if (marker == 0xda) {
        if (++scans > kMaxScans) return limit_exceeded("JPEG file: too many scans");
        QUERN_ASSIGN(const size_t end, read_scan(body, in.at()));
        in.seek(end);
      } else {
        QUERN_TRY(read_marker(marker, body));
      }
    }
    if (scans == 0) return fail("it has no picture");
    choose_colours();
    return jpeg_pixels(frame_);
  }

 private:
  Result<void> read_marker(uint8_t marker, Bytes body) {
    switch (marker) {
      case 0xc0:
      case 0xc1:
      case 0xc2:
        frame_.progressive = marker == 0xc2;
        return read_frame(body);
      case 0xc4:
        return read_codes(body);
      case 0xdb:
        return read_quantisers(body);
      case 0xdd: {
        Reader in(body, true);
        restart_ = in.u16();
        return {};
      }
      case 0xe0:
        if (std::ranges::equal(body.first(std::min<size_t>(body.size(), 4)),
                               std::string_view("JFIF"))) {
          is_jfif_ = true;
        }
        return {};
      case 0xee:
        if (body.size() >= 12 && std::ranges::equal(body.first(5), std::string_view("Adobe"))) {
          adobe_ = body[11];
        }
        return {};
      default:
        if (marker >= 0xc3 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc) {
          return unsupported("JPEG file: lossless, hierarchical or arithmetic coding");
        }
        return {};
    }
  }

  Result<void> read_frame(Bytes body) {
    if (!frame_.components.empty()) return fail("it has two pictures");
    Reader in(body, true);
    const int depth = in.u8();
    frame_.height = in.u16();
    frame_.width = in.u16();
    const size_t count = in.u8();
    if (depth != 8) return unsupported(cat("JPEG file: samples of ", depth, " bits"));
    if (count != 1 && count != 3) return unsupported(cat("JPEG file: ", count, " components"));
    QUERN_TRY(new_image(frame_.width, frame_.height, 3));
    for (size_t i = 0; i < count; ++i) {
      JpegComponent c;
      c.id = in.u8();
      const uint8_t factors = in.u8();
      c.h = factors >> 4;
      c.v = factors & 15;
      c.quantiser = in.u8();
      if (c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 || c.quantiser > 3) {
        return fail("a component is wrong");
      }
      frame_.h_max = std::max(frame_.h_max, c.h);
      frame_.v_max = std::max(frame_.v_max, c.v);
      frame_.components.push_back(std::move(c));
    }
    if (in.ended()) return fail("its header is too short");
    const auto up = [](uint32_t a, uint32_t b) { return (a + b - 1) / b; };
    units_x_ = up(frame_.width, 8 * frame_.h_max);
    units_y_ = up(frame_.height, 8 * frame_.v_max);
    for (JpegComponent& c : frame_.components) {
      if (frame_.h_max % c.h != 0 || frame_.v_max % c.v != 0) {
        return unsupported("JPEG file: sampling factors that do not divide each other");
      }
      c.width = up(frame_.width * c.h, frame_.h_max);
      c.height = up(frame_.height * c.v, frame_.v_max);
      c.columns = units_x_ * c.h;
      c.rows = units_y_ * c.v;
      c.coefficients.resize(size_t{c.columns} * c.rows * 64);
    }
    return {};
  }

  Result<void> read_codes(Bytes body) {
    while (!body.empty()) {
      if (body.size() < 17) return fail("a code is too short");
      const uint8_t which = body[0];
      size_t total = 0;
      for (size_t i = 1; i <= 16; ++i) total += body[i];
      if ((which & 15) > 3 || which >> 4 > 1 || total > 256 || body.size() < 17 + total) {
        return fail("a code is wrong");
      }
      HuffmanCode& code = codes_[which >> 4][which & 15];
      if (!code.build(body.subspan(1, 16), body.subspan(17, total))) return fail("a code is wrong");
      body = body.subspan(17 + total);
    }
    return {};
  }

  Result<void> read_quantisers(Bytes body) {
    Reader in(body, true);
    while (in.at() < body.size()) {
      const uint8_t which = in.u8();
      if ((which & 15) > 3) return fail("a table of quantisers is wrong");
      for (const uint8_t at : kNatural) {
        quantisers_[which & 15][at] = which >> 4 != 0 ? in.u16() : in.u8();
      }
      if (in.ended()) return fail("a table of quantisers is too short");
    }
    return {};
  }

  /// Gives where the scan's data ends.
  Result<size_t> read_scan(Bytes body, size_t at) {
    Reader in(body, true);
    const size_t count = in.u8();
    if (count < 1 || count > 4 || frame_.components.empty()) return fail("a scan is wrong");
    std::vector<Part> parts;
    for (size_t i = 0; i < count; ++i) {
      const int id = in.u8();
      const uint8_t tables = in.u8();
      Part part;
      for (JpegComponent& c : frame_.components) {
        if (c.id == id && part.component == nullptr) part.component = &c;
      }
      if (part.component == nullptr || tables >> 4 > 3 || (tables & 15) > 3) {
        return fail("a scan is wrong");
      }
      if (!part.component->has_quantisers) {
        part.component->quantisers = quantisers_[static_cast<size_t>(part.component->quantiser)];
        part.component->has_quantisers = true;
      }
      part.dc = &codes_[0][tables >> 4];
      part.ac = &codes_[1][tables & 15];
      parts.push_back(part);
    }
    Scan scan;
    scan.first = in.u8();
    scan.last = in.u8();
    const uint8_t approximation = in.u8();
    scan.high = approximation >> 4;
    scan.low = approximation & 15;
    if (!frame_.progressive) scan = {};
    if (in.ended() || scan.last > 63 || scan.first > scan.last || scan.low > 13 ||
        (scan.first > 0 && count > 1) || (frame_.progressive && scan.first == 0 && scan.last > 0)) {
      return fail("a scan is wrong");
    }
    BitReader bits(file_, at);
    QUERN_TRY(decode(parts, scan, bits));
    return bits.at();
  }

  struct Part {
    JpegComponent* component = nullptr;
    const HuffmanCode* dc = nullptr;
    const HuffmanCode* ac = nullptr;
    int32_t predicted = 0;
  };

  Result<void> decode(std::vector<Part>& parts, const Scan& scan, BitReader& bits) {
    const JpegComponent& only = *parts[0].component;
    const bool single = parts.size() == 1;
    const uint32_t columns = single ? (only.width + 7) / 8 : units_x_;
    const uint32_t rows = single ? (only.height + 7) / 8 : units_y_;
    uint32_t until_restart = restart_;
    run_ = 0;
    for (uint32_t y = 0; y < rows; ++y) {
      for (uint32_t x = 0; x < columns; ++x) {
        if (restart_ != 0 && until_restart-- == 0) {
          bits.restart();
          for (Part& part : parts) part.predicted = 0;
          run_ = 0;
          until_restart = restart_ - 1;
        }
        for (Part& part : parts) {
          JpegComponent& c = *part.component;
          for (uint32_t b = 0; b < (single ? 1 : c.h * c.v); ++b) {
            const size_t column = single ? x : x * c.h + b % c.h;
            const size_t row = single ? y : y * c.v + b / c.h;
            if (!block(part, scan, &c.coefficients[(row * c.columns + column) * 64], bits)) {
              return fail("a scan is malformed");
            }
          }
        }
        if (bits.ended()) return fail("it ends early");
      }
    }
    return {};
  }

  bool block(Part& part, const Scan& scan, int16_t* out, BitReader& bits) {
    int k = scan.first;
    if (k == 0) {
      if (scan.high == 0) {
        const int size = bits.symbol(*part.dc);
        if (size < 0 || size > 15) return false;
        part.predicted += bits.number(size);
        out[0] = static_cast<int16_t>(part.predicted * (1 << scan.low));
      } else if (bits.bit() != 0) {
        out[0] = static_cast<int16_t>(out[0] | 1 << scan.low);
      }
      if (frame_.progressive) return true;
      k = 1;
    }
    return scan.high == 0 ? first_pass(part, scan, k, out, bits) : refine(part, scan, out, bits);
  }

  bool first_pass(const Part& part, const Scan& scan, int k, int16_t* out, BitReader& bits) {
    if (run_ > 0) {
      --run_;
      return true;
    }
    while (k <= scan.last) {
      const int symbol = bits.symbol(*part.ac);
      if (symbol < 0) return false;
      const int zeros = symbol >> 4;
      const int size = symbol & 15;
      if (size == 0) {
        if (zeros == 15) {
          k += 16;
          continue;
        }
        run_ = (1 << zeros) - 1;
        if (zeros > 0) run_ += static_cast<int>(bits.bits(zeros));
        return true;
      }
      k += zeros;
      if (k > 63) return false;
      out[kNatural[k++]] = static_cast<int16_t>(bits.number(size) * (1 << scan.low));
    }
    return true;
  }

  /// One more bit of the coefficients that there are, and new ones among them.
  bool refine(const Part& part, const Scan& scan, int16_t* out, BitReader& bits) {
    const auto plus = static_cast<int16_t>(1 << scan.low);
    const auto correct = [&](int16_t& coefficient) {
      if (bits.bit() == 0 || (coefficient & plus) != 0) return;
      coefficient = static_cast<int16_t>(coefficient + (coefficient >= 0 ? plus : -plus));
    };
    int k = scan.first;
    if (run_ == 0) {
      for (; k <= scan.last; ++k) {
        const int symbol = bits.symbol(*part.ac);
        if (symbol < 0) return false;
        int zeros = symbol >> 4;
        int16_t added = 0;
        if ((symbol & 15) != 0) {
          added = static_cast<int16_t>(bits.bit() != 0 ? plus : -plus);
        } else if (zeros != 15) {
          run_ = 1 << zeros;
          if (zeros > 0) run_ += static_cast<int>(bits.bits(zeros));
          break;
        }
        for (; k <= scan.last; ++k) {
          int16_t& coefficient = out[kNatural[k]];
          if (coefficient != 0) {
            correct(coefficient);
          } else if (zeros-- == 0) {
            break;
          }
        }
        if (added != 0 && k <= 63) out[kNatural[k]] = added;
      }
    }
    if (run_ > 0) {
      for (; k <= scan.last; ++k) {
        if (out[kNatural[k]] != 0) correct(out[kNatural[k]]);
      }
      --run_;
    }
    return true;
  }

  void choose_colours() {
    if (frame_.components.size() != 3 || is_jfif_) return;
    const auto& c = frame_.components;
    frame_.is_rgb = adobe_ >= 0 ? adobe_ == 0 : c[0].id == 'R' && c[1].id == 'G' && c[2].id == 'B';
  }

  Bytes file_;
  JpegFrame frame_;
  uint32_t units_x_ = 0;
  uint32_t units_y_ = 0;
  std::array<std::array<HuffmanCode, 4>, 2> codes_;
  std::array<std::array<uint16_t, 64>, 4> quantisers_{};
  uint32_t restart_ = 0;
  int run_ = 0;  // blocks left that have no more coefficients
  bool is_jfif_ = false;
  int adobe_ = -1;
};

}  // namespace

Result<Image> decode_jpeg(Bytes file) { return Decoder(file).run(); }

}  // namespace quern::image
