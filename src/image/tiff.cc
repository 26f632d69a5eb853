// TIFF: the first picture, in strips or tiles; gray, RGB or with a palette, 1 to 16 bits a sample;
// not compressed, or by PackBits, LZW or Deflate.

#include <algorithm>
#include <map>

#include "image/image.h"
#include "image/reader.h"

namespace quern::image {
namespace {

std::unexpected<Error> fail(std::string_view what) {
  return invalid_argument(cat("TIFF file: ", what));
}

std::vector<uint8_t> unpack_bits(Bytes in, size_t limit) {
  std::vector<uint8_t> out;
  size_t at = 0;
  while (at < in.size() && out.size() < limit) {
    const auto n = static_cast<int8_t>(in[at++]);
    if (n >= 0) {
      const size_t count = std::min<size_t>(static_cast<size_t>(n) + 1, in.size() - at);
      out.insert(out.end(), in.begin() + static_cast<std::ptrdiff_t>(at),
                 in.begin() + static_cast<std::ptrdiff_t>(at + count));
      at += count;
    } else if (n != -128 && at < in.size()) {
      out.insert(out.end(), static_cast<size_t>(1 - n), in[at++]);
    }
  }
  return out;
}

Result<std::vector<uint8_t>> unpack_lzw(Bytes in, size_t limit) {
  constexpr uint32_t kClear = 256;
  constexpr uint32_t kEnd = 257;
  struct Entry {
    uint32_t prefix;
    uint32_t length;
    uint8_t last;
  };
  std::vector<Entry> table;
  std::vector<uint8_t> out;
  size_t at = 0;
  uint32_t hold = 0;
  int have = 0;
  int width = 9;
  uint32_t previous = kEnd;
  const auto reset = [&] {
    table.resize(258);
    for (uint32_t i = 0; i < 256; ++i) table[i] = {kEnd, 1, static_cast<uint8_t>(i)};
    width = 9;
    previous = kEnd;
  };
  reset();
  while (out.size() < limit) {
    while (have < width && at < in.size()) {
      hold = hold << 8 | in[at++];
      have += 8;
    }
    if (have < width) break;
    const uint32_t code = hold >> (have - width) & ((1u << width) - 1);
    have -= width;
    if (code == kEnd) break;
    if (code == kClear) {
      reset();
      continue;
    }
    const auto next = static_cast<uint32_t>(table.size());
    if (code > next || (code == next && previous == kEnd)) return fail("LZW data is malformed");
    const uint32_t source = code == next ? previous : code;
    const size_t start = out.size();
    const uint32_t length = table[source].length;
    out.resize(start + length);
    uint32_t entry = source;
    for (uint32_t i = length; i-- > 0; entry = table[entry].prefix) {
      out[start + i] = table[entry].last;
    }
    if (code == next) out.push_back(out[start]);
    if (previous != kEnd && table.size() < 4096) {
      table.push_back({previous, table[previous].length + 1, out[start]});
    }
    // The width grows one code early.
    const size_t size = table.size() + 1;
    width = size >= 2048 ? 12 : size >= 1024 ? 11 : size >= 512 ? 10 : 9;
    previous = code;
  }
  return out;
}

class Decoder {
 public:
  explicit Decoder(Bytes file) : file_(file), big_(file[0] == 'M') {}

  Result<Image> run() {
    QUERN_TRY(read_directory());
    const uint32_t width = value(256, 0);
    const uint32_t height = value(257, 0);
    const uint32_t samples = value(277, 1);
    depth_ = value(258, 1);
    const uint32_t kind = value(262, 1);
    const bool planar = value(284, 1) == 2 && samples > 1;
    const bool paletted = kind == 3;
    if (kind > 3 || samples < 1 || samples > 8 || (kind == 2 && samples < 3)) {
      return unsupported(cat("TIFF file: colours of kind ", kind, ", ", samples, " samples"));
    }
    for (const uint32_t d : list(258)) {
      if (d != depth_) return unsupported("TIFF file: samples of several depths");
    }
    if (depth_ != 1 && depth_ != 2 && depth_ != 4 && depth_ != 8 && depth_ != 16) {
      return unsupported(cat("TIFF file: samples of ", depth_, " bits"));
    }
    if (value(339, 1) != 1) return unsupported("TIFF file: samples that are no unsigned integers");
    const uint32_t channels = kind == 2 || paletted ? 3 : 1;
    QUERN_ASSIGN(Image image, new_image(width, height, channels));

    const bool tiled = tags_.contains(322);
    const uint32_t tile_width = tiled ? value(322, 0) : width;
    const uint32_t tile_height = tiled ? value(323, 0) : std::min(value(278, height), height);
    const std::vector<uint32_t> offsets = list(tiled ? 324 : 273);
    const std::vector<uint32_t> counts = list(tiled ? 325 : 279);
    if (tile_width == 0 || tile_height == 0 || tile_width > (1u << 20) ||
        tile_height > (1u << 20) || offsets.size() != counts.size()) {
      return fail("its strips or tiles are wrong");
    }
    const uint32_t across = (width + tile_width - 1) / tile_width;
    const uint32_t down = (height + tile_height - 1) / tile_height;
    const uint32_t in_tile = planar ? 1 : samples;
    const size_t row_bytes = (size_t{tile_width} * in_tile * depth_ + 7) / 8;
    const size_t pieces = size_t{across} * down * (planar ? samples : 1);
    if (offsets.size() < pieces) return fail("its picture is not complete");
    const std::vector<uint32_t> palette = list(320);
    if (paletted && palette.size() < (size_t{3} << depth_)) return fail("its palette is too short");

    for (size_t piece = 0; piece < pieces; ++piece) {
      const size_t plane = piece / (size_t{across} * down);
      if (plane >= channels) continue;  // alpha and the like
      const auto x0 = static_cast<uint32_t>(piece % across) * tile_width;
      const auto y0 = static_cast<uint32_t>(piece / across % down) * tile_height;
      const uint32_t rows = tiled ? tile_height : std::min(tile_height, height - y0);
      QUERN_ASSIGN(std::vector<uint8_t> data,
                   unpack(offsets[piece], counts[piece], row_bytes * rows));
      if (data.size() < row_bytes * rows) return fail("its picture is not complete");
      if (value(317, 1) == 2) undo_differences(data, row_bytes, tile_width, in_tile);
      for (uint32_t y = 0; y < rows && y0 + y < height; ++y) {
        const uint8_t* row = &data[y * row_bytes];
        for (uint32_t x = 0; x < tile_width && x0 + x < width; ++x) {
          uint8_t* to = &image.pixels[(size_t{y0 + y} * width + x0 + x) * channels];
          if (paletted) {
            const uint32_t index = sample(row, size_t{x} * in_tile);
            for (uint32_t c = 0; c < 3; ++c) {
              to[c] = static_cast<uint8_t>(palette[(size_t{c} << depth_) + index] >> 8);
            }
            continue;
          }
          for (uint32_t c = planar ? static_cast<uint32_t>(plane) : 0; c < channels; ++c) {
            const uint32_t most = (1u << depth_) - 1;
            const uint32_t s = sample(row, size_t{x} * in_tile + (planar ? 0 : c));
            const uint32_t scaled = depth_ == 16 ? s >> 8 : s * 255 / most;
            to[c] = static_cast<uint8_t>(kind == 0 ? 255 - scaled : scaled);  // 0 is white
            if (planar) break;
          }
        }
      }
    }
    return image;
  }

 private:
  Result<void> read_directory() {
    Reader in(file_, big_);
    in.skip(4);
    in.seek(in.u32());
    const uint16_t count = in.u16();
    for (uint16_t i = 0; i < count && !in.ended(); ++i) {
      const uint16_t tag = in.u16();
      const uint16_t type = in.u16();
      const uint32_t number = in.u32();
      const size_t next = in.at() + 4;
      const size_t size = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
      if (size != 0 && number <= file_.size()) {
        if (size * number > 4) in.seek(in.u32());
        std::vector<uint32_t>& values = tags_[tag];
        for (uint32_t k = 0; k < number && !in.ended(); ++k) {
          values.push_back(type == 1 ? in.u8() : type == 3 ? in.u16() : in.u32());
        }
      }
      in.seek(next);
    }
    if (in.ended() || tags_.empty()) return fail("it ends early");
    return {};
  }
  [[nodiscard]] std::vector<uint32_t> list(uint16_t tag) const {
    const auto found = tags_.find(tag);
    return found == tags_.end() ? std::vector<uint32_t>() : found->second;
  }
  [[nodiscard]] uint32_t value(uint16_t tag, uint32_t fallback) const {
    const auto found = tags_.find(tag);
    return found == tags_.end() || found->second.empty() ? fallback : found->second[0];
  }

  Result<std::vector<uint8_t>> unpack(uint32_t offset, uint32_t count, size_t expected) {
    if (offset > file_.size() || count > file_.size() - offset) return fail("it ends early");
    if (expected > (size_t{256} << 20)) return limit_exceeded("TIFF file: a strip is too large");
    const Bytes data = file_.subspan(offset, count);
    switch (value(259, 1)) {
      case 1:
        return std::vector<uint8_t>(data.begin(), data.end());
      case 5:
        return unpack_lzw(data, expected);
      case 8:
      case 32946:
        return inflate(data, expected);
      case 32773:
        return unpack_bits(data, expected);
      default:
        return unsupported(cat("TIFF file: compression ", value(259, 1)));
    }
  }

  /// Each sample was stored as its difference from the one to the left.
  void undo_differences(std::vector<uint8_t>& data, size_t row_bytes, uint32_t width,
                        uint32_t samples) const {
    for (size_t start = 0; start + row_bytes <= data.size(); start += row_bytes) {
      uint8_t* row = &data[start];
      for (size_t i = samples; i < size_t{width} * samples; ++i) {
        if (depth_ == 8) {
          row[i] = static_cast<uint8_t>(row[i] + row[i - samples]);
        } else if (depth_ == 16) {
          const uint32_t sum = sample(row, i) + sample(row, i - samples);
          row[i * 2 + (big_ ? 0 : 1)] = static_cast<uint8_t>(sum >> 8);
          row[i * 2 + (big_ ? 1 : 0)] = static_cast<uint8_t>(sum);
        }
      }
    }
  }

  [[nodiscard]] uint32_t sample(const uint8_t* row, size_t i) const {
    if (depth_ == 8) return row[i];
    if (depth_ == 16) {
      return big_ ? row[i * 2] * 256u + row[i * 2 + 1] : row[i * 2 + 1] * 256u + row[i * 2];
    }
    const size_t bit = i * depth_;
    return row[bit / 8] >> (8 - depth_ - bit % 8) & ((1u << depth_) - 1);
  }

  Bytes file_;
  bool big_;
  uint32_t depth_ = 1;
  std::map<uint16_t, std::vector<uint32_t>> tags_;
};

}  // namespace

Result<Image> decode_tiff(Bytes file) { return Decoder(file).run(); }

}  // namespace quern::image
