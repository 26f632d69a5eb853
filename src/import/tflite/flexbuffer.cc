#include "import/tflite/flexbuffer.h"

#include <bit>
#include <cstring>

namespace quern::tflite {
namespace {

constexpr size_t kMostElements = 1 << 16;

/// Types as the upper bits of a type byte have them (flatbuffers/flexbuffers.h).
enum Type : uint8_t {
  kInt = 1,
  kUInt = 2,
  kFloat = 3,
  kIndirectInt = 6,
  kIndirectUInt = 7,
  kIndirectFloat = 8,
  kMap = 9,
  kVector = 10,
  kVectorInt = 11,
  kVectorUInt = 12,
  kVectorFloat = 13,
  kBool = 26,
};

class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : bytes_(bytes) {}

  Result<std::map<std::string, std::vector<double>, std::less<>>> map() {
    std::map<std::string, std::vector<double>, std::less<>> out;
    if (bytes_.size() < 3) return invalid_model("options that are no FlexBuffer");
    const size_t width = bytes_[bytes_.size() - 1];
    const uint8_t type = bytes_[bytes_.size() - 2];
    if (!is_width(width) || bytes_.size() < 2 + width || type >> 2 != kMap) {
      return invalid_model("options that are no map");
    }
    const size_t at = follow(bytes_.size() - 2 - width, width);
    const size_t own = size_t{1} << (type & 3);
    const auto count = length(at, own);
    if (!count || at < 3 * own) return broken();
    const size_t keys = follow(at - 3 * own, own);
    const auto key_width = integer(at - 2 * own, own);
    if (!key_width || !is_width(*key_width)) return broken();
    for (size_t i = 0; i < *count; ++i) {
      const auto name = text(follow(keys + i * *key_width, *key_width));
      const auto packed = integer(at + *count * own + i, 1);
      if (!name || !packed) return broken();
      auto values = read(at + i * own, own, static_cast<uint8_t>(*packed));
      if (!values.empty()) out[*name] = std::move(values);
    }
    return out;
  }

 private:
  static std::unexpected<Error> broken() { return invalid_model("broken options"); }
  static bool is_width(uint64_t width) {
    return width == 1 || width == 2 || width == 4 || width == 8;
  }

  std::optional<uint64_t> integer(size_t at, size_t width) const {
    if (at > bytes_.size() || width > bytes_.size() - at) return std::nullopt;
    uint64_t out = 0;
    std::memcpy(&out, bytes_.data() + at, width);
    return out;
  }
  /// Where an offset leads, before it; past the end where it is broken.
  size_t follow(size_t at, size_t width) const {
    const auto back = integer(at, width);
    return back && *back <= at ? at - static_cast<size_t>(*back) : bytes_.size();
  }
  /// The number before a vector.
  std::optional<size_t> length(size_t at, size_t width) const {
    if (at < width || at >= bytes_.size()) return std::nullopt;
    const auto count = integer(at - width, width);
    if (!count || *count > kMostElements) return std::nullopt;
    return static_cast<size_t>(*count);
  }
  std::optional<std::string> text(size_t at) const {
    std::string out;
    for (; at < bytes_.size(); ++at) {
      if (bytes_[at] == 0) return out;
      out += static_cast<char>(bytes_[at]);
    }
    return std::nullopt;
  }

  std::optional<double> scalar(size_t at, size_t width, uint8_t type) const {
    const auto bits = integer(at, width);
    if (!bits) return std::nullopt;
    if (type == kUInt || type == kBool) return static_cast<double>(*bits);
    if (type == kInt) {
      const auto shift = static_cast<int>(64 - 8 * width);
      return static_cast<double>(static_cast<int64_t>(*bits << shift) >> shift);
    }
    if (width == 4) return std::bit_cast<float>(static_cast<uint32_t>(*bits));
    if (width == 8) return std::bit_cast<double>(*bits);
    return std::nullopt;
  }

  std::vector<double> read(size_t at, size_t width, uint8_t packed) const {
    const uint8_t type = packed >> 2;
    const size_t own = size_t{1} << (packed & 3);
    std::vector<double> out;
    const auto add = [&](size_t place, size_t bytes, uint8_t of) {
      if (const auto number = scalar(place, bytes, of)) out.push_back(*number);
    };
    if (type == kInt || type == kUInt || type == kFloat || type == kBool) {
      add(at, width, type);
    } else if (type == kIndirectInt || type == kIndirectUInt || type == kIndirectFloat) {
      add(follow(at, width), own, static_cast<uint8_t>(type - kIndirectInt + kInt));
    } else if (type >= kVector && type <= kVectorFloat) {
      const size_t place = follow(at, width);
      const auto count = length(place, own);
      for (size_t i = 0; count && i < *count; ++i) {
        uint8_t of = static_cast<uint8_t>(type - kVectorInt + kInt);
        if (type == kVector) {
          of = static_cast<uint8_t>(integer(place + *count * own + i, 1).value_or(0) >> 2);
          if (of != kInt && of != kUInt && of != kFloat && of != kBool) continue;
        }
        add(place + i * own, own, of);
      }
    }
    return out;
  }

  std::span<const uint8_t> bytes_;
};

}  // namespace

Result<std::map<std::string, std::vector<double>, std::less<>>> read_flexbuffer_map(
    std::span<const uint8_t> bytes) {
  return Reader(bytes).map();
}

}  // namespace quern::tflite
