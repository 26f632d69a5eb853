// JPEG 2000 files: boxes, markers, tiles, colours. Without regions of interest, changes of the
// progression order and packed packet headers.
#include "image/jp2.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "image/reader.h"

namespace quern::image {
namespace {

std::unexpected<Error> fail(std::string_view what) {
  return invalid_argument(cat("JPEG 2000 file: ", what));
}

uint32_t ceil_div(uint32_t a, uint32_t b) {
  return static_cast<uint32_t>((uint64_t{a} + b - 1) / b);
}

struct Component {
  uint32_t precision = 8;
  bool is_signed = false;
  uint32_t dx = 1;
  uint32_t dy = 1;
};

/// What markers say: for the file, or for a tile.
struct Settings {
  Jp2Order order;
  bool transform = false;  ///< of colours
  Jp2Coding coding;
  std::map<uint32_t, Jp2Coding> codings;     ///< COC
  std::map<uint32_t, Jp2Coding> quantisers;  ///< QCC
};

class Decoder {
 public:
  explicit Decoder(Bytes stream) : file_(stream) {}

  Result<Image> run() {
    Reader in(file_, true);
    if (in.u16() != 0xff4f) return fail("its code stream has no beginning");
    while (!in.ended()) {
      const size_t start = in.at();
      const uint16_t marker = in.u16();
      if (marker == 0xffd9 || in.ended()) break;
      const uint16_t length = in.u16();
      if (length < 2) return fail("a marker's length is wrong");
      const Bytes body = in.take(length - 2u);
      if (in.ended()) break;
      if (marker == 0xff90) {
        QUERN_ASSIGN(const size_t next, read_tile_part(start, body, in));
        in.seek(next);
      } else if (marker == 0xff51) {
        QUERN_TRY(read_size(body));
      } else {
        QUERN_TRY(read_marker(marker, body, main_));
      }
    }
    if (components_.empty()) return fail("it has no picture");
    if (tiles_.empty()) return fail("it has no tiles");
    const auto count = static_cast<uint32_t>(components_.size());
    QUERN_ASSIGN(Image image, new_image(whole_.width(), whole_.height(), count));
    for (auto& [number, tile] : tiles_) QUERN_TRY(decode_tile(number, tile, image));
    return image;
  }

 private:
  struct Tile {
    Settings settings;
    std::vector<uint8_t> data;
  };

  Result<void> read_size(Bytes body) {
    Reader in(body, true);
    in.skip(2);
    whole_.x1 = in.u32();
    whole_.y1 = in.u32();
    whole_.x0 = in.u32();
    whole_.y0 = in.u32();
    tile_width_ = in.u32();
    tile_height_ = in.u32();
    tile_x_ = in.u32();
    tile_y_ = in.u32();
    const uint16_t count = in.u16();
    if (count < 1 || count > 4 || !components_.empty()) {
      return unsupported(cat("JPEG 2000 file: ", count, " components"));
    }
    QUERN_TRY(new_image(whole_.width(), whole_.height(), count));
    for (uint16_t i = 0; i < count; ++i) {
      Component c;
      const uint8_t depth = in.u8();
      c.precision = (depth & 0x7fu) + 1;
      c.is_signed = depth >> 7 != 0;
      c.dx = in.u8();
      c.dy = in.u8();
      if (c.dx == 0 || c.dy == 0 || c.precision > 16) return fail("a component is wrong");
      components_.push_back(c);
    }
    // Coordinates stay far from the limits of 32 bits.
    if (in.ended() || tile_width_ == 0 || tile_height_ == 0 || tile_x_ > whole_.x0 ||
        tile_y_ > whole_.y0 || whole_.x1 > (1u << 30) || whole_.y1 > (1u << 30) ||
        uint64_t{tile_x_} + tile_width_ <= whole_.x0 ||
        uint64_t{tile_y_} + tile_height_ <= whole_.y0) {
      return fail("its size is wrong");
    }
    tiles_across_ = ceil_div(whole_.x1 - tile_x_, tile_width_);
    tiles_down_ = ceil_div(whole_.y1 - tile_y_, tile_height_);
    return {};
  }

  Result<void> read_marker(uint16_t marker, Bytes body, Settings& settings) {
    Reader in(body, true);
    const auto component = [&] { return components_.size() < 257 ? uint32_t{in.u8()} : in.u16(); };
    switch (marker) {
      case 0xff52: {  // COD
        const uint8_t style = in.u8();
        settings.order.has_end_marks = (style & 4) != 0;
        settings.order.progression = in.u8();
        settings.order.layers = in.u16();
        settings.transform = in.u8() != 0;
        if (settings.order.progression > 4) return fail("its progression is unknown");
        return read_coding(in, (style & 1) != 0, settings.coding);
      }
      case 0xff53: {  // COC
        const uint32_t c = component();
        const uint8_t style = in.u8();
        return read_coding(in, (style & 1) != 0, settings.codings[c]);
      }
      case 0xff5c:  // QCD
        return read_quantisation(in, body.size(), settings.coding);
      case 0xff5d: {  // QCC
        const uint32_t c = component();
        return read_quantisation(in, body.size(), settings.quantisers[c]);
      }
      case 0xff5e:
      case 0xff5f:
      case 0xff60:
      case 0xff61:
        return unsupported("JPEG 2000 file: regions of interest, changes of order, packed headers");
      default:
        return {};
    }
  }

  static Result<void> read_coding(Reader& in, bool has_precincts, Jp2Coding& coding) {
    coding.levels = in.u8();
    coding.block_width = (in.u8() & 15u) + 2;
    coding.block_height = (in.u8() & 15u) + 2;
    coding.style = in.u8();
    coding.reversible = in.u8() == 1;
    coding.precincts.clear();
    if (coding.levels > 32 || coding.block_width > 10 || coding.block_height > 10 ||
        coding.block_width + coding.block_height > 12 || (coding.style & ~63u) != 0) {
      return fail("its coding style is wrong");
    }
    for (uint32_t r = 0; has_precincts && r <= coding.levels; ++r) {
      coding.precincts.push_back(in.u8());
    }
    if (in.ended()) return fail("its coding style is too short");
    return {};
  }

  static Result<void> read_quantisation(Reader& in, size_t size, Jp2Coding& coding) {
    const uint8_t style = in.u8();
    coding.guard_bits = style >> 5;
    coding.quantisation = style & 31;
    if (coding.quantisation > 2) return fail("its quantisation is unknown");
    coding.steps.clear();
    while (in.at() < size && coding.steps.size() < 97) {
      // Without quantisation there are exponents alone.
      coding.steps.push_back(coding.quantisation == 0 ? static_cast<uint16_t>((in.u8() >> 3) << 11)
                                                      : in.u16());
    }
    return {};
  }

  /// A tile-part from its SOT marker on; gives where the next begins.
  Result<size_t> read_tile_part(size_t start, Bytes header, Reader& in) {
    Reader fields(header, true);
    const uint16_t number = fields.u16();
    const uint32_t length = fields.u32();
    if (fields.ended() || components_.empty() || number >= uint64_t{tiles_across_} * tiles_down_) {
      return fail("a tile is wrong");
    }
    Tile& tile = tiles_.try_emplace(number, Tile{main_, {}}).first->second;
    while (true) {
      const uint16_t marker = in.u16();
      if (marker == 0xff93) break;
      const uint16_t size = in.u16();
      if (in.ended() || size < 2) return fail("a tile's header is wrong");
      QUERN_TRY(read_marker(marker, in.take(size - 2u), tile.settings));
    }
    size_t end = length == 0 ? file_.size() : std::min<size_t>(start + length, file_.size());
    end = std::max(end, in.at());
    const Bytes data = in.take(end - in.at());
    tile.data.insert(tile.data.end(), data.begin(), data.end());
    return end;
  }

  Result<void> decode_tile(uint32_t number, Tile& tile, Image& image) {
    const uint32_t p = number % tiles_across_;
    const uint32_t q = number / tiles_across_;
    const auto edge = [](uint64_t v, uint32_t low, uint32_t high) {
      return static_cast<uint32_t>(std::clamp<uint64_t>(v, low, high));
    };
    const Rect area = {
        edge(uint64_t{tile_x_} + uint64_t{p} * tile_width_, whole_.x0, whole_.x1),
        edge(uint64_t{tile_y_} + uint64_t{q} * tile_height_, whole_.y0, whole_.y1),
        edge(uint64_t{tile_x_} + (uint64_t{p} + 1) * tile_width_, whole_.x0, whole_.x1),
        edge(uint64_t{tile_y_} + (uint64_t{q} + 1) * tile_height_, whole_.y0, whole_.y1)};
    std::vector<Jp2TileComponent> components(components_.size());
    for (uint32_t c = 0; c < components.size(); ++c) {
      const Component& info = components_[c];
      Jp2TileComponent& part = components[c];
      part.area = {ceil_div(area.x0, info.dx), ceil_div(area.y0, info.dy),
                   ceil_div(area.x1, info.dx), ceil_div(area.y1, info.dy)};
      part.coding = tile.settings.coding;
      if (const auto found = tile.settings.codings.find(c); found != tile.settings.codings.end()) {
        const Jp2Coding& own = found->second;
        part.coding.levels = own.levels;
        part.coding.block_width = own.block_width;
        part.coding.block_height = own.block_height;
        part.coding.style = own.style;
        part.coding.reversible = own.reversible;
        part.coding.precincts = own.precincts;
      }
      if (const auto found = tile.settings.quantisers.find(c);
          found != tile.settings.quantisers.end()) {
        part.coding.guard_bits = found->second.guard_bits;
        part.coding.quantisation = found->second.quantisation;
        part.coding.steps = found->second.steps;
      }
      QUERN_TRY(jp2_partition(part, info.dx, info.dy, area, info.precision));
    }
    QUERN_TRY(jp2_read_packets(tile.data, tile.settings.order, components));
    for (Jp2TileComponent& part : components) {
      QUERN_TRY(jp2_reconstruct(part));
      part.resolutions.clear();
    }
    if (tile.settings.transform) QUERN_TRY(undo_colours(components));
    store(area, components, image);
    return {};
  }

  static Result<void> undo_colours(std::vector<Jp2TileComponent>& c) {
    if (c.size() < 3 || c[0].values.size() != c[1].values.size() ||
        c[0].values.size() != c[2].values.size() || c[0].reals.size() != c[1].reals.size() ||
        c[0].reals.size() != c[2].reals.size()) {
      return fail("its components do not fit each other");
    }
    for (size_t i = 0; i < c[0].values.size(); ++i) {
      const int32_t u = c[1].values[i];
      const int32_t v = c[2].values[i];
      const int32_t green = c[0].values[i] - ((u + v) >> 2);
      c[0].values[i] = v + green;
      c[1].values[i] = green;
      c[2].values[i] = u + green;
    }
    for (size_t i = 0; i < c[0].reals.size(); ++i) {
      const float y = c[0].reals[i];
      const float cb = c[1].reals[i];
      const float cr = c[2].reals[i];
      c[0].reals[i] = y + 1.402f * cr;
      c[1].reals[i] = y - 0.34413f * cb - 0.71414f * cr;
      c[2].reals[i] = y + 1.772f * cb;
    }
    return {};
  }

  void store(const Rect& area, const std::vector<Jp2TileComponent>& components, Image& image) {
    for (uint32_t c = 0; c < components.size(); ++c) {
      const Component& info = components_[c];
      const Jp2TileComponent& part = components[c];
      const int32_t most = (1 << info.precision) - 1;
      const int32_t shift = info.is_signed ? 0 : 1 << (info.precision - 1);
      const uint32_t width = part.area.width();
      if (part.area.empty()) continue;
      for (uint32_t y = area.y0; y < area.y1; ++y) {
        for (uint32_t x = area.x0; x < area.x1; ++x) {
          const uint32_t px =
              std::clamp(x / info.dx, part.area.x0, part.area.x1 - 1) - part.area.x0;
          const uint32_t py =
              std::clamp(y / info.dy, part.area.y0, part.area.y1 - 1) - part.area.y0;
          const size_t at = size_t{py} * width + px;
          int32_t value = 0;
          if (!part.values.empty()) {
            value = part.values[at];
          } else {
            const float real = std::clamp(part.reals[at], -65536.0f, 65536.0f);
            value = static_cast<int32_t>(std::lrint(real));
          }
          value = info.is_signed ? value + (1 << (info.precision - 1)) : value + shift;
          value = std::clamp(value, 0, most);
          const uint32_t p = info.precision;
          image.pixels[(size_t{y - whole_.y0} * image.width + x - whole_.x0) * image.channels + c] =
              static_cast<uint8_t>(p > 8 ? value >> (p - 8) : value << (8 - p));
        }
      }
    }
  }

  Bytes file_;
  Rect whole_;
  uint32_t tile_width_ = 0;
  uint32_t tile_height_ = 0;
  uint32_t tile_x_ = 0;
  uint32_t tile_y_ = 0;
  uint32_t tiles_across_ = 0;
  uint32_t tiles_down_ = 0;
  std::vector<Component> components_;
  Settings main_;
  std::map<uint32_t, Tile> tiles_;
};

/// The code stream in a file of boxes.
Result<Bytes> code_stream(Bytes file) {
  size_t at = 0;
  while (at + 8 <= file.size()) {
    Reader in(file.subspan(at), true);
    uint64_t size = in.u32();
    const uint32_t kind = in.u32();
    size_t header = 8;
    if (size == 1) {
      size = uint64_t{in.u32()} << 32;
      size |= in.u32();
      header = 16;
    }
    if (size == 0 || size > file.size() - at) size = file.size() - at;
    if (size < header) return fail("a box is wrong");
    if (kind == 0x6a703263) return file.subspan(at + header, size - header);  // jp2c
    at += size;
  }
  return fail("it has no code stream");
}

}  // namespace

Result<Image> decode_jp2(Bytes file) {
  if (file.size() > 2 && file[0] == 0xff) return Decoder(file).run();
  QUERN_ASSIGN(const Bytes stream, code_stream(file));
  return Decoder(stream).run();
}

}  // namespace quern::image
