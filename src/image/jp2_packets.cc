// Tiles into precincts and code-blocks, and the packets that hold their data.

#include <algorithm>
#include <bit>
#include <tuple>

#include "image/jp2.h"

namespace quern::image {
namespace {

constexpr size_t kMaxPrecincts = size_t{1} << 20;

uint32_t ceil_shift(uint64_t value, uint32_t bits) {
  return static_cast<uint32_t>((value + (uint64_t{1} << bits) - 1) >> bits);
}

std::unexpected<Error> fail(std::string_view what) {
  return invalid_argument(cat("JPEG 2000 file: ", what));
}

/// The bits of packet headers: after 0xff a byte has seven.
class HeaderBits {
 public:
  HeaderBits(Bytes data, size_t at) : data_(data), at_(at) {}

  uint32_t bit() {
    if (left_ == 0) {
      left_ = last_ == 0xff ? 7 : 8;
      if (at_ >= data_.size()) ended_ = true;
      last_ = at_ < data_.size() ? data_[at_] : 0;
      ++at_;
    }
    --left_;
    return last_ >> left_ & 1;
  }
  uint32_t bits(uint32_t count) {
    uint32_t value = 0;
    for (uint32_t i = 0; i < count; ++i) value = value << 1 | bit();
    return value;
  }
  /// Where the bytes after the header begin.
  size_t finish() {
    if (last_ == 0xff) ++at_;  // a byte of padding
    return at_;
  }
  [[nodiscard]] bool ended() const { return ended_; }

 private:
  Bytes data_;
  size_t at_;
  uint32_t left_ = 0;
  uint32_t last_ = 0;
  bool ended_ = false;
};

uint32_t pass_count(HeaderBits& in) {
  if (in.bit() == 0) return 1;
  if (in.bit() == 0) return 2;
  const uint32_t two = in.bits(2);
  if (two < 3) return 3 + two;
  const uint32_t five = in.bits(5);
  if (five < 31) return 6 + five;
  return 37 + in.bits(7);
}

/// How many passes the next codeword of a block may have.
uint32_t most_passes(const Jp2Block& block, uint32_t style) {
  if ((style & kTerminateAll) != 0) return 1;
  if ((style & kBypass) == 0) return 200;
  if (block.codewords.empty()) return 10;
  const uint32_t before = block.codewords.back().most;
  return before == 1 || before == 10 ? 2 : 1;
}

class PacketReader {
 public:
  PacketReader(Bytes data, const Jp2Order& order) : data_(data), order_(order) {}

  /// False where the data is over.
  Result<bool> read(Jp2Precinct& precinct, uint32_t style, uint32_t layer) {
    if (at_ >= data_.size()) return false;
    if (at_ + 6 <= data_.size() && data_[at_] == 0xff && data_[at_ + 1] == 0x91) at_ += 6;  // SOP
    HeaderBits in(data_, at_);
    struct Part {
      Jp2Block* block;
      size_t codeword;
      uint32_t length;
    };
    std::vector<Part> parts;
    const auto bit = [&] { return in.bit(); };
    if (in.bit() != 0) {
      for (Jp2PrecinctBand& band : precinct.bands) {
        for (size_t i = 0; i < band.blocks.size(); ++i) {
          Jp2Block& block = band.blocks[i];
          const auto x = static_cast<uint32_t>(i % band.columns);
          const auto y = static_cast<uint32_t>(i / band.columns);
          if (!block.included) {
            if (!band.inclusion.is_below(x, y, layer + 1, bit)) continue;
            block.included = true;
            uint32_t planes = 0;
            while (!band.zero_planes.is_below(x, y, planes + 1, bit)) {
              if (++planes > 64 || in.ended()) return fail("a packet is malformed");
            }
            block.zero_planes = planes;
          } else if (in.bit() == 0) {
            continue;
          }
          uint32_t passes = pass_count(in);
          while (in.bit() != 0) {
            if (++block.length_bits > 32 || in.ended()) return fail("a packet is malformed");
          }
          while (passes > 0) {
            if (block.codewords.empty() ||
                block.codewords.back().passes >= block.codewords.back().most) {
              const uint32_t most = most_passes(block, style);
              block.codewords.push_back({{}, 0, most});
            }
            Jp2Codeword& codeword = block.codewords.back();
            const uint32_t n = std::min(passes, codeword.most - codeword.passes);
            const uint32_t length_bits =
                block.length_bits + static_cast<uint32_t>(std::bit_width(n)) - 1;
            if (length_bits > 32) return fail("a packet is malformed");
            codeword.passes += n;
            parts.push_back({&block, block.codewords.size() - 1, in.bits(length_bits)});
            passes -= n;
          }
        }
        if (in.ended()) return false;
      }
    }
    at_ = in.finish();
    if (order_.has_end_marks && at_ + 2 <= data_.size() && data_[at_] == 0xff &&
        data_[at_ + 1] == 0x92) {
      at_ += 2;
    }
    for (const Part& part : parts) {
      const size_t have = at_ < data_.size() ? data_.size() - at_ : 0;
      const size_t n = std::min<size_t>(part.length, have);
      const Bytes from = data_.subspan(std::min(at_, data_.size()), n);
      std::vector<uint8_t>& to = part.block->codewords[part.codeword].data;
      to.insert(to.end(), from.begin(), from.end());
      at_ += n;
      if (n < part.length) return false;
    }
    return true;
  }

 private:
  Bytes data_;
  const Jp2Order& order_;
  size_t at_ = 0;
};

}  // namespace

TagTree::TagTree(uint32_t width, uint32_t height) {
  while (true) {
    Level level;
    level.width = width;
    level.nodes.resize(size_t{width} * height);
    levels_.push_back(std::move(level));
    if (width <= 1 && height <= 1) return;
    width = (width + 1) / 2;
    height = (height + 1) / 2;
  }
}

Result<void> jp2_partition(Jp2TileComponent& component, uint32_t dx, uint32_t dy, Rect tile,
                           uint32_t precision) {
  const Jp2Coding& coding = component.coding;
  const uint32_t levels = coding.levels;
  size_t total = 0;
  for (uint32_t r = 0; r <= levels; ++r) {
    Jp2Resolution res;
    const uint32_t down = levels - r;
    const Rect& c = component.area;
    res.area = {ceil_shift(c.x0, down), ceil_shift(c.y0, down), ceil_shift(c.x1, down),
                ceil_shift(c.y1, down)};
    for (int o = r == 0 ? 0 : 1; o <= (r == 0 ? 0 : 3); ++o) {
      Jp2Band band;
      band.orientation = o;
      const uint32_t nb = r == 0 ? levels : levels - r + 1;
      const uint64_t shift_x = nb == 0 ? 0 : uint64_t{static_cast<uint32_t>(o) & 1} << (nb - 1);
      const uint64_t shift_y = nb == 0 ? 0 : uint64_t{static_cast<uint32_t>(o) >> 1} << (nb - 1);
      const auto at = [&](uint32_t v, uint64_t shift) {
        return v < shift ? 0 : ceil_shift(v - shift, nb);
      };
      band.area = {at(c.x0, shift_x), at(c.y0, shift_y), at(c.x1, shift_x), at(c.y1, shift_y)};
      const size_t index = r == 0 ? 0 : 3 * (r - 1) + static_cast<size_t>(o);
      uint32_t exponent = 0;
      uint32_t mantissa = 0;
      if (coding.quantisation == 1) {
        if (coding.steps.empty()) return fail("it has no quantisation");
        const uint32_t first = coding.steps[0] >> 11;
        const uint32_t less = r == 0 ? 0 : r - 1;
        exponent = first > less ? first - less : 0;
        mantissa = coding.steps[0] & 0x7ff;
      } else {
        if (index >= coding.steps.size()) return fail("it has too few steps of quantisation");
        exponent = coding.steps[index] >> 11;
        mantissa = coding.steps[index] & 0x7ff;
      }
      const uint32_t gain = o == 0 ? 0 : o == 3 ? 2 : 1;
      band.planes = coding.guard_bits + exponent == 0 ? 0 : coding.guard_bits + exponent - 1;
      band.step = (1.0f + static_cast<float>(mantissa) / 2048.0f);
      const int power = static_cast<int>(precision + gain) - static_cast<int>(exponent);
      for (int i = 0; i < power; ++i) band.step *= 2;
      for (int i = 0; i > power; --i) band.step /= 2;
      res.bands.push_back(band);
    }

    const uint32_t px = coding.precinct_x(r);
    const uint32_t py = coding.precinct_y(r);
    if (r > 0 && (px == 0 || py == 0)) return fail("its precincts are too small");
    if (!res.area.empty()) {
      const uint32_t first_x = res.area.x0 >> px;
      const uint32_t first_y = res.area.y0 >> py;
      const uint32_t across = ceil_shift(res.area.x1, px) - first_x;
      const uint32_t down_count = ceil_shift(res.area.y1, py) - first_y;
      total += size_t{across} * down_count;
      if (total > kMaxPrecincts) return limit_exceeded("JPEG 2000 file: too many precincts");
      for (uint32_t j = 0; j < down_count; ++j) {
        for (uint32_t i = 0; i < across; ++i) {
          Jp2Precinct precinct;
          precinct.x = std::max<uint64_t>((uint64_t{first_x + i} << px << down) * dx, tile.x0);
          precinct.y = std::max<uint64_t>((uint64_t{first_y + j} << py << down) * dy, tile.y0);
          for (const Jp2Band& band : res.bands) {
            // In a band of a higher resolution everything is half as large.
            const uint32_t half = r > 0 ? 1 : 0;
            const uint32_t bx = px - half;
            const uint32_t by = py - half;
            const auto clip = [](uint64_t v, uint32_t low, uint32_t high) {
              return static_cast<uint32_t>(std::clamp<uint64_t>(v, low, std::max(low, high)));
            };
            const Rect area = {clip(uint64_t{first_x + i} << bx, band.area.x0, band.area.x1),
                               clip(uint64_t{first_y + j} << by, band.area.y0, band.area.y1),
                               clip(uint64_t{first_x + i + 1} << bx, band.area.x0, band.area.x1),
                               clip(uint64_t{first_y + j + 1} << by, band.area.y0, band.area.y1)};
            Jp2PrecinctBand part;
            if (!area.empty()) {
              const uint32_t w = std::min(coding.block_width, bx);
              const uint32_t h = std::min(coding.block_height, by);
              const uint32_t x0 = area.x0 >> w;
              const uint32_t y0 = area.y0 >> h;
              part.columns = ceil_shift(area.x1, w) - x0;
              part.rows = ceil_shift(area.y1, h) - y0;
              for (uint32_t y = y0; y < y0 + part.rows; ++y) {
                for (uint32_t x = x0; x < x0 + part.columns; ++x) {
                  Jp2Block block;
                  block.area = {std::max(x << w, area.x0), std::max(y << h, area.y0),
                                std::min((x + 1) << w, area.x1), std::min((y + 1) << h, area.y1)};
                  part.blocks.push_back(std::move(block));
                }
              }
              part.inclusion = TagTree(part.columns, part.rows);
              part.zero_planes = TagTree(part.columns, part.rows);
            }
            precinct.bands.push_back(std::move(part));
          }
          res.precincts.push_back(std::move(precinct));
        }
      }
    }
    component.resolutions.push_back(std::move(res));
  }
  return {};
}

Result<void> jp2_read_packets(Bytes data, const Jp2Order& order,
                              std::vector<Jp2TileComponent>& components) {
  struct Place {
    uint64_t key[5];
    uint32_t component;
    uint32_t resolution;
    uint32_t precinct;
  };
  std::vector<Place> places;
  for (uint32_t c = 0; c < components.size(); ++c) {
    const auto& resolutions = components[c].resolutions;
    for (uint32_t r = 0; r < resolutions.size(); ++r) {
      for (uint32_t p = 0; p < resolutions[r].precincts.size(); ++p) {
        const Jp2Precinct& precinct = resolutions[r].precincts[p];
        Place place{{0, 0, 0, 0, p}, c, r, p};
        const auto set = [&](uint64_t a, uint64_t b, uint64_t d, uint64_t e) {
          place.key[0] = a;
          place.key[1] = b;
          place.key[2] = d;
          place.key[3] = e;
        };
        switch (order.progression) {
          case 0:
          case 1:
            set(r, c, 0, 0);
            break;
          case 2:
            set(r, precinct.y, precinct.x, c);
            break;
          case 3:
            set(precinct.y, precinct.x, c, r);
            break;
          default:
            set(c, precinct.y, precinct.x, r);
            break;
        }
        places.push_back(place);
      }
    }
  }
  std::ranges::sort(places, [](const Place& a, const Place& b) {
    return std::lexicographical_compare(std::begin(a.key), std::end(a.key), std::begin(b.key),
                                        std::end(b.key));
  });
  PacketReader reader(data, order);
  const auto read = [&](const Place& place, uint32_t layer) {
    Jp2TileComponent& component = components[place.component];
    return reader.read(component.resolutions[place.resolution].precincts[place.precinct],
                       component.coding.style, layer);
  };
  if (order.progression == 0) {
    for (uint32_t layer = 0; layer < order.layers; ++layer) {
      for (const Place& place : places) {
        QUERN_ASSIGN(const bool more, read(place, layer));
        if (!more) return {};
      }
    }
  } else if (order.progression == 1) {
    for (size_t begin = 0; begin < places.size();) {
      size_t end = begin;
      while (end < places.size() && places[end].resolution == places[begin].resolution) ++end;
      for (uint32_t layer = 0; layer < order.layers; ++layer) {
        for (size_t i = begin; i < end; ++i) {
          QUERN_ASSIGN(const bool more, read(places[i], layer));
          if (!more) return {};
        }
      }
      begin = end;
    }
  } else {
    for (const Place& place : places) {
      for (uint32_t layer = 0; layer < order.layers; ++layer) {
        QUERN_ASSIGN(const bool more, read(place, layer));
        if (!more) return {};
      }
    }
  }
  return {};
}

}  // namespace quern::image
