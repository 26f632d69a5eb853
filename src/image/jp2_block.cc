// Code-blocks of JPEG 2000: bit planes in three passes each, by the MQ arithmetic decoder.

#include <algorithm>
#include <array>

#include "image/jp2.h"

namespace quern::image {
namespace {

struct State {
  uint16_t qe;
  uint8_t more;  // after the more probable symbol
  uint8_t less;
  bool swap;
};
constexpr State kStates[] = {
    {0x5601, 1, 1, true},    {0x3401, 2, 6, false},   {0x1801, 3, 9, false},
    {0x0ac1, 4, 12, false},  {0x0521, 5, 29, false},  {0x0221, 38, 33, false},
    {0x5601, 7, 6, true},    {0x5401, 8, 14, false},  {0x4801, 9, 14, false},
    {0x3801, 10, 14, false}, {0x3001, 11, 17, false}, {0x2401, 12, 18, false},
    {0x1c01, 13, 20, false}, {0x1601, 29, 21, false}, {0x5601, 15, 14, true},
    {0x5401, 16, 14, false}, {0x5101, 17, 15, false}, {0x4801, 18, 16, false},
    {0x3801, 19, 17, false}, {0x3401, 20, 18, false}, {0x3001, 21, 19, false},
    {0x2801, 22, 19, false}, {0x2401, 23, 20, false}, {0x2201, 24, 21, false},
    {0x1c01, 25, 22, false}, {0x1801, 26, 23, false}, {0x1601, 27, 24, false},
    {0x1401, 28, 25, false}, {0x1201, 29, 26, false}, {0x1101, 30, 27, false},
    {0x0ac1, 31, 28, false}, {0x09c1, 32, 29, false}, {0x08a1, 33, 30, false},
    {0x0521, 34, 31, false}, {0x0441, 35, 32, false}, {0x02a1, 36, 33, false},
    {0x0221, 37, 34, false}, {0x0141, 38, 35, false}, {0x0111, 39, 36, false},
    {0x0085, 40, 37, false}, {0x0049, 41, 38, false}, {0x0025, 42, 39, false},
    {0x0015, 43, 40, false}, {0x0009, 44, 41, false}, {0x0005, 45, 42, false},
    {0x0001, 45, 43, false}, {0x5601, 46, 46, false},
};

constexpr size_t kRun = 17;
constexpr size_t kUniform = 18;

struct Context {
  uint8_t state = 0;
  uint8_t symbol = 0;
};

/// The bits of a codeword: arithmetic coded, or raw (bypass).
class BitSource {
 public:
  BitSource(Bytes data, bool raw) : data_(data) {
    if (raw) return;
    code_ = uint32_t{byte(0)} << 16;
    next_byte();
    code_ <<= 7;
    left_ -= 7;
  }

  uint32_t decode(Context& context) {
    const State& state = kStates[context.state];
    uint32_t symbol = context.symbol;
    interval_ -= state.qe;
    if (code_ >> 16 < state.qe) {
      const bool more = interval_ < state.qe;
      interval_ = state.qe;
      if (!more) symbol = 1 - symbol;
      update(context, state, more);
    } else {
      code_ -= uint32_t{state.qe} << 16;
      if ((interval_ & 0x8000) != 0) return symbol;
      const bool more = interval_ >= state.qe;
      if (!more) symbol = 1 - symbol;
      update(context, state, more);
    }
    do {
      if (left_ == 0) next_byte();
      interval_ <<= 1;
      code_ <<= 1;
      --left_;
    } while ((interval_ & 0x8000) == 0);
    return symbol;
  }

  uint32_t raw_bit() {
    if (left_ == 0) {
      // After 0xff a byte has seven bits.
      left_ = at_ > 0 && byte(at_ - 1) == 0xff ? 7 : 8;
      code_ = byte(at_);
      ++at_;
    }
    --left_;
    return code_ >> left_ & 1;
  }

 private:
  [[nodiscard]] uint8_t byte(size_t i) const { return i < data_.size() ? data_[i] : 0xff; }

  static void update(Context& context, const State& state, bool more) {
    if (!more && state.swap) context.symbol = 1 - context.symbol;
    context.state = more ? state.more : state.less;
  }

  void next_byte() {
    if (byte(at_) == 0xff) {
      if (byte(at_ + 1) > 0x8f) {
        code_ += 0xff00;
        left_ = 8;
      } else {
        ++at_;
        code_ += uint32_t{byte(at_)} << 9;
        left_ = 7;
      }
    } else {
      ++at_;
      code_ += uint32_t{byte(at_)} << 8;
      left_ = 8;
    }
  }

  Bytes data_;
  size_t at_ = 0;
  uint32_t code_ = 0;
  uint32_t interval_ = 0x8000;
  int left_ = 0;
};

class BlockDecoder {
 public:
  BlockDecoder(uint32_t width, uint32_t height, int orientation, uint32_t style)
      : width_(width),
        height_(height),
        stride_(width + 2),
        orientation_(orientation),
        style_(style),
        flags_(size_t{width + 2} * (height + 2)),
        values_(size_t{width} * height) {
    reset_contexts();
  }

  void pass(int kind, int plane, bool raw, BitSource& bits) {
    one_ = 1 << plane;
    raw_ = raw;
    bits_ = &bits;
    for (uint32_t y0 = 0; y0 < height_; y0 += 4) {
      const uint32_t y1 = std::min(y0 + 4, height_);
      for (uint32_t x = 0; x < width_; ++x) {
        if (kind == 2) {
          clean_up(x, y0, y1);
          continue;
        }
        for (uint32_t y = y0; y < y1; ++y) {
          if (kind == 0) {
            propagate(x, y, y + 1 == y0 + 4);
          } else {
            refine(x, y, y + 1 == y0 + 4);
          }
        }
      }
    }
    if (kind == 2) {
      if ((style_ & kSymbols) != 0) {
        for (int i = 0; i < 4; ++i) bits.decode(contexts_[kUniform]);
      }
      for (uint8_t& flag : flags_) flag &= static_cast<uint8_t>(~kVisited);
    }
    if ((style_ & kReset) != 0) reset_contexts();
  }

  std::vector<int32_t> take() { return std::move(values_); }

 private:
  static constexpr uint8_t kSignificant = 1;
  static constexpr uint8_t kNegative = 2;
  static constexpr uint8_t kVisited = 4;
  static constexpr uint8_t kRefined = 8;

  void reset_contexts() {
    contexts_.fill({});
    contexts_[0].state = 4;
    contexts_[kRun].state = 3;
    contexts_[kUniform].state = 46;
  }

  uint8_t& flag(uint32_t x, uint32_t y) { return flags_[size_t{y + 1} * stride_ + x + 1]; }

  struct Neighbours {
    int h, v, d;
  };
  /// How many are significant; `causal`: those in the stripe below do not count.
  Neighbours neighbours(uint32_t x, uint32_t y, bool causal) {
    const uint8_t* f = &flag(x, y);
    const auto s = static_cast<std::ptrdiff_t>(stride_);
    const auto has = [&](std::ptrdiff_t offset) { return f[offset] & kSignificant; };
    Neighbours n{has(-1) + has(1), has(-s), has(-s - 1) + has(-s + 1)};
    if (!causal) {
      n.v += has(s);
      n.d += has(s - 1) + has(s + 1);
    }
    return n;
  }
  bool is_causal(bool last_row) const { return last_row && (style_ & kVerticallyCausal) != 0; }

  size_t zero_context(Neighbours n) const {
    if (orientation_ == 3) {
      const int hv = n.h + n.v;
      if (n.d >= 3) return 8;
      if (n.d == 2) return hv >= 1 ? 7 : 6;
      if (n.d == 1) return hv >= 2 ? 5 : hv == 1 ? 4 : 3;
      return hv >= 2 ? 2 : hv == 1 ? 1 : 0;
    }
    if (orientation_ == 1) std::swap(n.h, n.v);
    if (n.h == 2) return 8;
    if (n.h == 1) return n.v >= 1 ? 7 : n.d >= 1 ? 6 : 5;
    if (n.v == 2) return 4;
    if (n.v == 1) return 3;
    return n.d >= 2 ? 2 : n.d == 1 ? 1 : 0;
  }

  void become_significant(uint32_t x, uint32_t y, bool causal) {
    uint8_t* f = &flag(x, y);
    const auto s = static_cast<std::ptrdiff_t>(stride_);
    const auto sign = [&](std::ptrdiff_t offset) {
      return (f[offset] & kSignificant) == 0 ? 0 : (f[offset] & kNegative) != 0 ? -1 : 1;
    };
    uint32_t negative = 0;
    if (raw_) {
      negative = bits_->raw_bit();
    } else {
      const int h = std::clamp(sign(-1) + sign(1), -1, 1);
      const int v = std::clamp(sign(-s) + (causal ? 0 : sign(s)), -1, 1);
      // Contexts 9 to 13, and whether the symbol is the other way round.
      const bool flipped = h < 0 || (h == 0 && v < 0);
      const int hv = flipped ? -h * 3 - v : h * 3 + v;  // 0, 1, 2, 3, 4
      negative = bits_->decode(contexts_[static_cast<size_t>(9 + hv)]) ^ (flipped ? 1u : 0u);
    }
    values_[size_t{y} * width_ + x] = one_ | one_ >> 1;
    *f |= kSignificant;
    if (negative != 0) {
      *f |= kNegative;
      values_[size_t{y} * width_ + x] *= -1;
    }
  }

  void propagate(uint32_t x, uint32_t y, bool last_row) {
    uint8_t& f = flag(x, y);
    if ((f & kSignificant) != 0) return;
    const bool causal = is_causal(last_row);
    const size_t context = zero_context(neighbours(x, y, causal));
    if (context == 0) return;
    const uint32_t bit = raw_ ? bits_->raw_bit() : bits_->decode(contexts_[context]);
    if (bit != 0) become_significant(x, y, causal);
    f |= kVisited;
  }

  void refine(uint32_t x, uint32_t y, bool last_row) {
    uint8_t& f = flag(x, y);
    if ((f & (kSignificant | kVisited)) != kSignificant) return;
    const Neighbours n = neighbours(x, y, is_causal(last_row));
    const size_t context = (f & kRefined) != 0 ? 16 : n.h + n.v + n.d > 0 ? 15 : 14;
    const uint32_t bit = raw_ ? bits_->raw_bit() : bits_->decode(contexts_[context]);
    int32_t& value = values_[size_t{y} * width_ + x];
    const int32_t change = bit != 0 ? one_ >> 1 : -(one_ >> 1);
    value += value < 0 ? -change : change;
    f |= kRefined;
  }

  void clean_up(uint32_t x, uint32_t y0, uint32_t y1) {
    uint32_t y = y0;
    bool run = y1 - y0 == 4;
    for (uint32_t k = y0; run && k < y1; ++k) {
      run = (flag(x, k) & (kSignificant | kVisited)) == 0 &&
            zero_context(neighbours(x, k, is_causal(k + 1 == y1))) == 0;
    }
    if (run) {
      if (bits_->decode(contexts_[kRun]) == 0) return;
      y += bits_->decode(contexts_[kUniform]) << 1;
      y += bits_->decode(contexts_[kUniform]);
      become_significant(x, y, is_causal(y + 1 == y0 + 4));
      ++y;
    }
    for (; y < y1; ++y) {
      if ((flag(x, y) & (kSignificant | kVisited)) != 0) continue;
      const bool causal = is_causal(y + 1 == y0 + 4);
      const size_t context = zero_context(neighbours(x, y, causal));
      if (bits_->decode(contexts_[context]) != 0) become_significant(x, y, causal);
    }
  }

  uint32_t width_;
  uint32_t height_;
  size_t stride_;
  int orientation_;
  uint32_t style_;
  std::vector<uint8_t> flags_;  // with a border
  std::vector<int32_t> values_;
  std::array<Context, 19> contexts_;
  int32_t one_ = 0;
  bool raw_ = false;
  BitSource* bits_ = nullptr;
};

}  // namespace

Result<std::vector<int32_t>> jp2_decode_block(const Jp2Block& block, const Jp2Band& band,
                                              uint32_t style) {
  BlockDecoder decoder(block.area.width(), block.area.height(), band.orientation, style);
  // Planes are numbered so that the last one is 1: below it is the half.
  int plane = static_cast<int>(band.planes) - static_cast<int>(block.zero_planes);
  if (plane > 30) return unsupported("JPEG 2000 file: more than 30 bit planes");
  uint32_t done = 0;
  for (const Jp2Codeword& codeword : block.codewords) {
    const bool raw = (style & kBypass) != 0 && done >= 10 && (done + 2) % 3 < 2;
    BitSource bits(codeword.data, raw);
    for (uint32_t i = 0; i < codeword.passes && plane > 0; ++i, ++done) {
      const int kind = static_cast<int>((done + 2) % 3);
      decoder.pass(kind, plane, raw && kind < 2, bits);
      if (kind == 2) --plane;
    }
  }
  return decoder.take();
}

}  // namespace quern::image
