// Deflate (RFC 1951) inside zlib's frame (RFC 1950). The check sum at the end is not looked at.

#include <algorithm>
#include <array>

#include "image/image.h"

namespace quern::image {
namespace {

constexpr int kMaxCode = 15;

/// A Huffman code in canonical form: how many codes there are of each length, symbols in order.
struct Code {
  std::array<uint16_t, kMaxCode + 1> count{};
  std::array<uint16_t, 288> symbol{};

  /// False where the lengths stand for more codes than there are.
  bool build(std::span<const uint8_t> lengths) {
    count.fill(0);
    for (const uint8_t length : lengths) ++count[length];
    count[0] = 0;
    int left = 1;
    std::array<uint16_t, kMaxCode + 2> first{};
    for (size_t i = 1; i <= kMaxCode; ++i) {
      left = left * 2 - count[i];
      if (left < 0) return false;
      first[i + 1] = static_cast<uint16_t>(first[i] + count[i]);
    }
    for (size_t s = 0; s < lengths.size(); ++s) {
      if (lengths[s] != 0) symbol[first[lengths[s]]++] = static_cast<uint16_t>(s);
    }
    return true;
  }
};

class Inflater {
 public:
  Inflater(Bytes in, size_t limit) : in_(in), limit_(limit) {}

  Result<std::vector<uint8_t>> run() {
    bool last = false;
    while (!last) {
      last = bits(1) != 0;
      const uint32_t kind = bits(2);
      if (kind == 0) {
        QUERN_TRY(stored());
      } else if (kind == 1) {
        QUERN_TRY(fixed_codes());
        QUERN_TRY(block());
      } else if (kind == 2) {
        QUERN_TRY(dynamic_codes());
        QUERN_TRY(block());
      } else {
        return fail();
      }
      if (ended_) return fail();
    }
    return std::move(out_);
  }

 private:
  static std::unexpected<Error> fail() { return invalid_argument("compressed data is malformed"); }

  uint32_t bits(int count) {
    while (have_ < count) {
      if (at_ >= in_.size()) {
        // Zeros after the end keep the loops simple; the flag makes them an error.
        if (at_ > in_.size() + 4) ended_ = true;
        ++at_;
      } else {
        hold_ |= uint64_t{in_[at_++]} << have_;
      }
      have_ += 8;
    }
    const auto value = static_cast<uint32_t>(hold_ & ((uint64_t{1} << count) - 1));
    hold_ >>= count;
    have_ -= count;
    return value;
  }

  int symbol(const Code& code) {
    int value = 0;
    int first = 0;
    int index = 0;
    for (size_t length = 1; length <= kMaxCode; ++length) {
      value |= static_cast<int>(bits(1));
      const int count = code.count[length];
      if (value - first < count) return code.symbol[static_cast<size_t>(index + value - first)];
      index += count;
      first = (first + count) * 2;
      value *= 2;
    }
    return -1;
  }

  Result<void> room(size_t count) {
    if (count <= limit_ - out_.size()) return {};
    return limit_exceeded(cat("compressed data unfolds to more than ", limit_, " bytes"));
  }

  Result<void> stored() {
    bits(have_ % 8);
    const uint32_t length = bits(16);
    if ((bits(16) ^ 0xffffu) != length) return fail();
    QUERN_TRY(room(length));
    for (uint32_t i = 0; i < length && !ended_; ++i) out_.push_back(static_cast<uint8_t>(bits(8)));
    return {};
  }

  Result<void> fixed_codes() {
    std::array<uint8_t, 288> lengths{};
    for (size_t i = 0; i < 288; ++i) {
      lengths[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
    }
    literals_.build(lengths);
    distances_.build(std::vector<uint8_t>(30, 5));
    return {};
  }

  Result<void> dynamic_codes() {
    const uint32_t literal_count = bits(5) + 257;
    const uint32_t distance_count = bits(5) + 1;
    const uint32_t code_count = bits(4) + 4;
    constexpr uint8_t kOrder[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
    std::array<uint8_t, 19> code_lengths{};
    for (uint32_t i = 0; i < code_count; ++i) {
      code_lengths[kOrder[i]] = static_cast<uint8_t>(bits(3));
    }
    Code code;
    if (literal_count > 286 || distance_count > 30 || !code.build(code_lengths)) return fail();
    std::vector<uint8_t> lengths;
    while (lengths.size() < literal_count + distance_count) {
      const int s = symbol(code);
      if (s < 0 || ended_) return fail();
      if (s < 16) {
        lengths.push_back(static_cast<uint8_t>(s));
        continue;
      }
      if (s == 16 && lengths.empty()) return fail();
      const uint8_t repeated = s == 16 ? lengths.back() : 0;
      const uint32_t count = s == 16 ? 3 + bits(2) : s == 17 ? 3 + bits(3) : 11 + bits(7);
      lengths.insert(lengths.end(), count, repeated);
    }
    if (lengths.size() > literal_count + distance_count) return fail();
    const std::span<const uint8_t> all = lengths;
    if (!literals_.build(all.first(literal_count)) ||
        !distances_.build(all.subspan(literal_count))) {
      return fail();
    }
    return {};
  }

  Result<void> block() {
    constexpr uint16_t kLength[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                    31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
    constexpr uint8_t kLengthBits[] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                       2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
    constexpr uint16_t kDistance[] = {
        1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
        193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
    constexpr uint8_t kDistanceBits[] = {0, 0, 0, 0, 1, 1, 2, 2,  3,  3,  4,  4,  5,  5,  6,
                                         6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13};
    while (true) {
      const int s = symbol(literals_);
      if (s < 0 || ended_) return fail();
      if (s == 256) return {};
      if (s < 256) {
        QUERN_TRY(room(1));
        out_.push_back(static_cast<uint8_t>(s));
        continue;
      }
      if (s > 285) return fail();
      const auto l = static_cast<size_t>(s - 257);
      const size_t length = kLength[l] + bits(kLengthBits[l]);
      const int d = symbol(distances_);
      if (d < 0 || d >= 30) return fail();
      const size_t distance = kDistance[d] + bits(kDistanceBits[d]);
      if (distance > out_.size()) return fail();
      QUERN_TRY(room(length));
      for (size_t i = 0; i < length; ++i) out_.push_back(out_[out_.size() - distance]);
    }
  }

  Bytes in_;
  size_t limit_;
  size_t at_ = 0;
  uint64_t hold_ = 0;
  int have_ = 0;
  bool ended_ = false;
  Code literals_;
  Code distances_;
  std::vector<uint8_t> out_;
};

}  // namespace

Result<std::vector<uint8_t>> inflate(Bytes stream, size_t limit) {
  if (stream.size() < 2 || (stream[0] & 15) != 8 || (stream[1] & 32) != 0) {
    return invalid_argument("compressed data has no zlib header");
  }
  return Inflater(stream.subspan(2), limit).run();
}

}  // namespace quern::image
