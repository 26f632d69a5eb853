// VP8 key frames (RFC 6386): headers, modes, coefficients.
#include "image/vp8.h"

#include <algorithm>

#include "image/reader.h"
#include "image/vp8_tables.h"

namespace quern::image {
namespace {

std::unexpected<Error> fail(std::string_view what) {
  return invalid_argument(cat("WebP file: ", what));
}

/// The arithmetic decoder of section 7.
class BoolDecoder {
 public:
  BoolDecoder() = default;
  explicit BoolDecoder(Bytes data) : data_(data) {}

  uint32_t get(uint32_t probability) {
    while (have_ < 8) {
      if (at_ >= data_.size()) ended_ += 1;
      value_ = value_ << 8 | (at_ < data_.size() ? data_[at_] : 0u);
      ++at_;
      have_ += 8;
    }
    const uint32_t split = 1 + ((range_ - 1) * probability >> 8);
    const uint32_t top = split << (have_ - 8);
    uint32_t bit = 0;
    if (value_ >= top) {
      value_ -= top;
      range_ -= split;
      bit = 1;
    } else {
      range_ = split;
    }
    while (range_ < 128) {
      range_ <<= 1;
      --have_;
    }
    return bit;
  }
  uint32_t bit() { return get(128); }
  uint32_t bits(int count) {
    uint32_t value = 0;
    while (count-- > 0) value = value << 1 | bit();
    return value;
  }
  int32_t signed_bits(int count) {
    const auto value = static_cast<int32_t>(bits(count));
    return bit() != 0 ? -value : value;
  }
  /// A number that a flag may leave out.
  int32_t optional_bits(int count) { return bit() != 0 ? signed_bits(count) : 0; }
  [[nodiscard]] bool ended() const { return ended_ > 8; }

 private:
  Bytes data_;
  size_t at_ = 0;
  uint32_t value_ = 0;
  uint32_t range_ = 255;
  int have_ = 0;
  int ended_ = 0;
};

struct Segment {
  int32_t quantiser = 0;
  int32_t level = 0;
};

/// Steps of a segment, for the first and the other coefficients.
struct Steps {
  int32_t luma[2];
  int32_t means[2];  // of the blocks of luma's first coefficients
  int32_t chroma[2];
};

/// Where blocks had coefficients: 4 of luma, 2 and 2 of chroma, 1 of means.
using Contexts = std::array<uint8_t, 9>;

class Decoder {
 public:
  explicit Decoder(Bytes data) : data_(data) {}

  Result<Image> run() {
    QUERN_TRY(read_headers());
    const size_t width = size_t{frame_.columns} * 16;
    const size_t height = size_t{frame_.rows} * 16;
    frame_.planes[0] = Vp8Plane(width, height);
    frame_.planes[1] = Vp8Plane(width / 2, height / 2);
    frame_.planes[2] = Vp8Plane(width / 2, height / 2);
    for (size_t p = 0; p < 3; ++p) set_borders(p);
    std::vector<Contexts> above(frame_.columns);
    std::vector<std::array<uint8_t, 4>> modes_above(frame_.columns);
    for (uint32_t y = 0; y < frame_.rows; ++y) {
      Contexts left{};
      std::array<uint8_t, 4> modes_left{};
      BoolDecoder& tokens = partitions_[y % partitions_.size()];
      for (uint32_t x = 0; x < frame_.columns; ++x) {
        const Macroblock block = read_modes(modes_above[x], modes_left);
        const bool any = read_coefficients(block, above[x], left, tokens);
        reconstruct(x, y, block);
        if (filters_) frame_.filters.push_back(filter_of(block, any));
      }
      if (header_.ended() || tokens.ended()) return fail("it ends early");
    }
    vp8_loop_filter(frame_);
    return vp8_pixels(frame_);
  }

 private:
  struct Macroblock {
    uint32_t segment = 0;
    bool skip = false;
    bool is_split = false;  // each 4 x 4 block has its own mode
    std::array<uint8_t, 16> modes{};
    uint8_t chroma = 0;
  };

  Result<void> read_headers() {
    Reader in(data_);
    const uint32_t tag = in.u8() | uint32_t{in.u16()} << 8;
    const bool is_key = (tag & 1) == 0;
    const uint32_t first_size = tag >> 5;
    const bool has_code = in.u8() == 0x9d && in.u8() == 1 && in.u8() == 0x2a;
    frame_.width = in.u16() & 0x3fffu;
    frame_.height = in.u16() & 0x3fffu;
    if (in.ended() || !is_key || !has_code) return fail("it has no key frame");
    QUERN_TRY(new_image(frame_.width, frame_.height, 3));
    frame_.columns = (frame_.width + 15) / 16;
    frame_.rows = (frame_.height + 15) / 16;
    const Bytes first = in.take(first_size);
    if (in.ended()) return fail("it ends early");
    header_ = BoolDecoder(first);
    header_.bits(2);  // colour space, clamping
    read_segments();
    frame_.simple_filter = header_.bit() != 0;
    level_ = static_cast<int32_t>(header_.bits(6));
    sharpness_ = static_cast<int32_t>(header_.bits(3));
    if (header_.bit() != 0) {  // changes of the level by reference and mode
      has_changes_ = true;
      if (header_.bit() != 0) {
        for (int32_t& change : by_reference_) change = changed(change, 6);
        for (int32_t& change : by_mode_) change = changed(change, 6);
      }
    }
    filters_ = level_ != 0 || segmented_;
    const uint32_t partitions = 1u << header_.bits(2);
    QUERN_TRY(read_partitions(data_.subspan(in.at()), partitions));
    read_steps();
    header_.bit();  // whether the probabilities stay for another frame
    std::copy_n(kVp8DefaultProbabilities, kVp8Probabilities, probabilities_.begin());
    size_t entry = 0;
    size_t next = kVp8UpdateProbabilities[0][0];
    for (size_t i = 0; i < kVp8Probabilities; ++i) {
      uint32_t stays = 255;
      if (i == next && entry < kVp8UpdateEntries) {
        stays = kVp8UpdateProbabilities[entry][1];
        if (++entry < kVp8UpdateEntries) next += kVp8UpdateProbabilities[entry][0];
      }
      if (header_.get(stays) != 0) probabilities_[i] = static_cast<uint8_t>(header_.bits(8));
    }
    has_skips_ = header_.bit() != 0;
    if (has_skips_) skip_probability_ = header_.bits(8);
    return {};
  }

  int32_t changed(int32_t before, int bits) {
    return header_.bit() != 0 ? header_.signed_bits(bits) : before;
  }

  void read_segments() {
    segmented_ = header_.bit() != 0;
    if (!segmented_) return;
    has_map_ = header_.bit() != 0;
    if (header_.bit() != 0) {
      absolute_ = header_.bit() != 0;
      for (Segment& s : segments_) s.quantiser = header_.optional_bits(7);
      for (Segment& s : segments_) s.level = header_.optional_bits(6);
    }
    if (!has_map_) return;
    for (uint32_t& p : segment_probabilities_) p = header_.bit() != 0 ? header_.bits(8) : 255;
  }

  Result<void> read_partitions(Bytes data, uint32_t count) {
    const size_t table = size_t{3} * (count - 1);
    if (data.size() < table) return fail("it ends early");
    Bytes rest = data.subspan(table);
    for (uint32_t i = 0; i < count; ++i) {
      size_t size = rest.size();
      if (i + 1 < count) {
        const uint8_t* s = &data[size_t{3} * i];
        size = std::min<size_t>(size, s[0] | uint32_t{s[1]} << 8 | uint32_t{s[2]} << 16);
      }
      partitions_.emplace_back(rest.first(size));
      rest = rest.subspan(size);
    }
    return {};
  }

  void read_steps() {
    const auto base = static_cast<int32_t>(header_.bits(7));
    int32_t changes[5];  // luma's first; the means' first and others; chroma's first and others
    for (int32_t& change : changes) change = header_.optional_bits(4);
    for (size_t i = 0; i < 4; ++i) {
      int32_t q = base;
      if (segmented_) q = absolute_ ? segments_[i].quantiser : base + segments_[i].quantiser;
      const auto dc = [&](int32_t change, int32_t most = 127) {
        return int32_t{kVp8DcSteps[std::clamp(q + change, 0, most)]};
      };
      const auto ac = [&](int32_t change) {
        return int32_t{kVp8AcSteps[std::clamp(q + change, 0, 127)]};
      };
      steps_[i] = {{dc(changes[0]), ac(0)},
                   {dc(changes[1]) * 2, std::max(ac(changes[2]) * 155 / 100, 8)},
                   {dc(changes[3], 117), ac(changes[4])}};
    }
  }

  Macroblock read_modes(std::array<uint8_t, 4>& above, std::array<uint8_t, 4>& left) {
    Macroblock block;
    BoolDecoder& in = header_;
    if (has_map_) {
      block.segment = in.get(segment_probabilities_[0]) == 0
                          ? in.get(segment_probabilities_[1])
                          : 2 + in.get(segment_probabilities_[2]);
    }
    if (has_skips_) block.skip = in.get(skip_probability_) != 0;
    block.is_split = in.get(145) == 0;
    if (!block.is_split) {
      const uint8_t mode = in.get(156) != 0 ? (in.get(128) != 0 ? kTrueMotion : kHorizontal)
                                            : (in.get(163) != 0 ? kVertical : kDc);
      block.modes.fill(mode);
      above.fill(mode);
      left.fill(mode);
    } else {
      for (size_t y = 0; y < 4; ++y) {
        for (size_t x = 0; x < 4; ++x) {
          const uint8_t mode = read_mode(&kVp8ModeProbabilities[(above[x] * 10 + left[y]) * 9]);
          block.modes[y * 4 + x] = above[x] = left[y] = mode;
        }
      }
    }
    block.chroma = in.get(142) == 0   ? kDc
                   : in.get(114) == 0 ? kVertical
                   : in.get(183) != 0 ? kTrueMotion
                                      : kHorizontal;
    return block;
  }

  uint8_t read_mode(const uint8_t* p) {
    BoolDecoder& in = header_;
    if (in.get(p[0]) == 0) return kDc;
    if (in.get(p[1]) == 0) return kTrueMotion;
    if (in.get(p[2]) == 0) return kVertical;
    if (in.get(p[3]) == 0) {
      if (in.get(p[4]) == 0) return kHorizontal;
      return in.get(p[5]) == 0 ? kRightDown : kVerticalRight;
    }
    if (in.get(p[6]) == 0) return kLeftDown;
    if (in.get(p[7]) == 0) return kVerticalLeft;
    return in.get(p[8]) == 0 ? kHorizontalDown : kHorizontalUp;
  }

  [[nodiscard]] const uint8_t* node(size_t kind, size_t position, size_t context) const {
    constexpr uint8_t kBands[17] = {0, 1, 2, 3, 6, 4, 5, 6, 6, 6, 6, 6, 6, 6, 6, 7, 0};
    return &probabilities_[((kind * 8 + kBands[position]) * 3 + context) * 11];
  }

  int32_t large_value(BoolDecoder& in, const uint8_t* p) {
    constexpr uint8_t kExtra[4][12] = {{173, 148, 140},
                                       {176, 155, 140, 135},
                                       {180, 157, 141, 134, 130},
                                       {254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}};
    const auto bit = [&](uint32_t probability) {
      return static_cast<int32_t>(in.get(probability));
    };
    if (bit(p[3]) == 0) return bit(p[4]) == 0 ? 2 : 3 + bit(p[5]);
    if (bit(p[6]) == 0) {
      if (bit(p[7]) == 0) return 5 + bit(159);
      const int32_t high = 2 * bit(165);
      return 7 + high + bit(145);
    }
    const int32_t high = bit(p[8]);
    const int32_t category = 2 * high + bit(p[9 + high]);
    int32_t value = 0;
    for (const uint8_t* extra = kExtra[category]; *extra != 0; ++extra) {
      value = value * 2 + bit(*extra);
    }
    return value + 3 + (8 << category);
  }

  /// The coefficients of a block from `first` on; gives where they end.
  size_t read_block(BoolDecoder& in, size_t kind, size_t context, size_t first,
                    const int32_t (&steps)[2], int16_t* out) {
    constexpr uint8_t kZigzag[16] = {0, 1, 4, 8, 5, 2, 3, 6, 9, 12, 13, 10, 7, 11, 14, 15};
    const uint8_t* p = node(kind, first, context);
    for (size_t n = first; n < 16;) {
      if (in.get(p[0]) == 0) return n;
      while (in.get(p[1]) == 0) {
        if (++n == 16) return 16;
        p = node(kind, n, 0);
      }
      const bool is_one = in.get(p[2]) == 0;
      const int32_t value = is_one ? 1 : large_value(in, p);
      const int32_t sign = in.bit() != 0 ? -1 : 1;
      out[kZigzag[n]] = static_cast<int16_t>(sign * value * steps[n > 0 ? 1 : 0]);
      ++n;
      p = node(kind, n, is_one ? 1 : 2);
    }
    return 16;
  }

  /// Into `coefficients_`; whether there are any.
  bool read_coefficients(const Macroblock& block, Contexts& above, Contexts& left,
                         BoolDecoder& in) {
    coefficients_.fill(0);
    if (block.skip) {
      const uint8_t means_above = block.is_split ? above[8] : 0;
      const uint8_t means_left = block.is_split ? left[8] : 0;
      above = {};
      left = {};
      above[8] = means_above;
      left[8] = means_left;
      return false;
    }
    const Steps& steps = steps_[block.segment];
    size_t first = 0;
    size_t kind = 3;
    if (!block.is_split) {
      std::array<int16_t, 16> means{};
      const size_t end =
          read_block(in, 1, size_t{above[8]} + left[8], 0, steps.means, means.data());
      above[8] = left[8] = end > 0;
      vp8_inverse_hadamard(means.data(), coefficients_.data());
      first = 1;
      kind = 0;
    }
    const auto read = [&](size_t number, size_t a, size_t l, size_t of_kind, size_t from,
                          const int32_t(&of)[2]) {
      const size_t end = read_block(in, of_kind, size_t{above[a]} + left[l], from, of,
                                    &coefficients_[number * 16]);
      above[a] = left[l] = end > from;
    };
    for (size_t y = 0; y < 4; ++y) {
      for (size_t x = 0; x < 4; ++x) read(y * 4 + x, x, y, kind, first, steps.luma);
    }
    for (size_t plane = 0; plane < 2; ++plane) {
      for (size_t i = 0; i < 4; ++i) {
        read(16 + plane * 4 + i, 4 + plane * 2 + i % 2, 4 + plane * 2 + i / 2, 2, 0, steps.chroma);
      }
    }
    return std::ranges::any_of(coefficients_, [](int16_t c) { return c != 0; });
  }

  /// Outside of the frame samples are 127 above and 129 to the left.
  void set_borders(size_t p) {
    Vp8Plane& plane = frame_.planes[p];
    std::fill_n(plane.samples.begin(), plane.stride, uint8_t{127});
    const size_t height = plane.samples.size() / plane.stride - 1;
    for (size_t y = 0; y < height; ++y) *(plane.at(0, y) - 1) = 129;
  }

  void reconstruct(uint32_t x, uint32_t y, const Macroblock& block) {
    Vp8Plane& luma = frame_.planes[0];
    uint8_t* to = luma.at(size_t{x} * 16, size_t{y} * 16);
    const size_t stride = luma.stride;
    if (block.is_split) {
      // Rows below see the same four samples above to the right as the first.
      uint8_t right[4];
      const uint8_t* above = to - stride + 16;
      for (size_t i = 0; i < 4; ++i)
        right[i] = x + 1 < frame_.columns || y == 0 ? above[i] : above[-1];
      for (size_t b = 0; b < 16; ++b) {
        uint8_t* sub = to + b / 4 * 4 * stride + b % 4 * 4;
        uint8_t edge[8];
        std::copy_n(sub - stride, 8, edge);
        if (b % 4 == 3) std::copy_n(right, 4, edge + 4);
        vp8_predict4(sub, stride, static_cast<Vp8Mode>(block.modes[b]), edge);
        vp8_add_block(&coefficients_[b * 16], sub, stride);
      }
    } else {
      vp8_predict(to, stride, 16, static_cast<Vp8Mode>(block.modes[0]), y > 0, x > 0);
      for (size_t b = 0; b < 16; ++b) {
        vp8_add_block(&coefficients_[b * 16], to + b / 4 * 4 * stride + b % 4 * 4, stride);
      }
    }
    for (size_t p = 1; p < 3; ++p) {
      Vp8Plane& chroma = frame_.planes[p];
      uint8_t* block_to = chroma.at(size_t{x} * 8, size_t{y} * 8);
      vp8_predict(block_to, chroma.stride, 8, static_cast<Vp8Mode>(block.chroma), y > 0, x > 0);
      for (size_t b = 0; b < 4; ++b) {
        vp8_add_block(&coefficients_[(12 + p * 4 + b) * 16],
                      block_to + b / 2 * 4 * chroma.stride + b % 2 * 4, chroma.stride);
      }
    }
  }

  [[nodiscard]] Vp8Filter filter_of(const Macroblock& block, bool any) const {
    int32_t level = level_;
    if (segmented_) {
      const int32_t own = segments_[block.segment].level;
      level = absolute_ ? own : level + own;
    }
    if (has_changes_) {
      level += by_reference_[0];
      if (block.is_split) level += by_mode_[0];
    }
    level = std::clamp(level, 0, 63);
    if (level == 0) return {};
    int32_t inner = level;
    if (sharpness_ > 0) {
      inner >>= sharpness_ > 4 ? 2 : 1;
      inner = std::min(inner, 9 - sharpness_);
    }
    inner = std::max(inner, 1);
    return {2 * level + inner, inner, level >= 40 ? 2 : level >= 15 ? 1 : 0, block.is_split || any};
  }

  Bytes data_;
  Vp8Frame frame_;
  BoolDecoder header_;
  std::vector<BoolDecoder> partitions_;
  bool segmented_ = false;
  bool has_map_ = false;
  bool absolute_ = false;
  std::array<Segment, 4> segments_{};
  std::array<uint32_t, 3> segment_probabilities_ = {255, 255, 255};
  int32_t level_ = 0;
  int32_t sharpness_ = 0;
  bool filters_ = false;
  bool has_changes_ = false;
  std::array<int32_t, 4> by_reference_{};
  std::array<int32_t, 4> by_mode_{};
  std::array<Steps, 4> steps_{};
  std::array<uint8_t, kVp8Probabilities> probabilities_{};
  bool has_skips_ = false;
  uint32_t skip_probability_ = 0;
  std::array<int16_t, 24 * 16> coefficients_{};
};

}  // namespace

Result<Image> decode_vp8(Bytes data) { return Decoder(data).run(); }

}  // namespace quern::image
