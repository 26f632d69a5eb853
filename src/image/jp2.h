// The parts of the JPEG 2000 decoder (ITU-T T.800): packets, code-blocks, wavelets. Coordinates
// are those of the standard: of the reference grid, of a tile-component, of a resolution, of a
// band.
#pragma once

#include <cstdint>
#include <vector>

#include "image/image.h"

namespace quern::image {

/// [x0, x1) by [y0, y1).
struct Rect {
  uint32_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;

  [[nodiscard]] uint32_t width() const { return x1 > x0 ? x1 - x0 : 0; }
  [[nodiscard]] uint32_t height() const { return y1 > y0 ? y1 - y0 : 0; }
  [[nodiscard]] bool empty() const { return width() == 0 || height() == 0; }
};

/// Coding style flags of code-blocks.
enum Jp2Style : uint32_t {
  kBypass = 1,
  kReset = 2,
  kTerminateAll = 4,
  kVerticallyCausal = 8,
  kPredictable = 16,  ///< for error detection: nothing to do
  kSymbols = 32,
};

/// COD or COC, and QCD or QCC, of a component.
struct Jp2Coding {
  uint32_t levels = 0;
  uint32_t block_width = 6;  ///< exponents
  uint32_t block_height = 6;
  uint32_t style = 0;
  bool reversible = true;
  std::vector<uint8_t> precincts;  ///< by resolution: exponents, x low and y high; empty: 15, 15
  uint32_t guard_bits = 0;
  uint32_t quantisation = 0;  ///< 0 none, 1 derived from the first, 2 for each band
  std::vector<uint16_t> steps;

  [[nodiscard]] uint32_t precinct_x(uint32_t r) const {
    return precincts.empty() ? 15 : precincts[r] & 15u;
  }
  [[nodiscard]] uint32_t precinct_y(uint32_t r) const {
    return precincts.empty() ? 15 : precincts[r] >> 4u;
  }
};

/// A codeword segment: coding passes that share one arithmetic decoder.
struct Jp2Codeword {
  std::vector<uint8_t> data;
  uint32_t passes = 0;
  uint32_t most = 0;  ///< passes that it may have
};

struct Jp2Block {
  Rect area;  ///< in its band
  bool included = false;
  uint32_t zero_planes = 0;
  uint32_t length_bits = 3;
  uint32_t passes = 0;
  std::vector<Jp2Codeword> codewords;
};

/// A tree of minima over the blocks of a precinct.
class TagTree {
 public:
  TagTree() = default;
  TagTree(uint32_t width, uint32_t height);
  /// Is the value of a leaf below `threshold`? Takes the bits for that from `bit`.
  template <class Bit>
  bool is_below(uint32_t x, uint32_t y, uint32_t threshold, Bit bit) {
    uint32_t low = 0;
    for (size_t level = levels_.size(); level-- > 0;) {
      Level& l = levels_[level];
      Node& node = l.nodes[size_t{y >> level} * l.width + (x >> level)];
      node.low = node.low > low ? node.low : low;
      while (node.low < threshold && !node.known) {
        if (bit() != 0) {
          node.known = true;
        } else {
          ++node.low;
        }
      }
      low = node.low;
    }
    const Level& leaves = levels_[0];
    const Node& leaf = leaves.nodes[size_t{y} * leaves.width + x];
    return leaf.known && leaf.low < threshold;
  }

 private:
  struct Node {
    uint32_t low = 0;
    bool known = false;
  };
  struct Level {
    uint32_t width = 0;
    std::vector<Node> nodes;
  };
  std::vector<Level> levels_;  // leaves first
};

/// The blocks of one band in one precinct.
struct Jp2PrecinctBand {
  uint32_t columns = 0;
  uint32_t rows = 0;
  std::vector<Jp2Block> blocks;
  TagTree inclusion;
  TagTree zero_planes;
};

struct Jp2Precinct {
  uint64_t x = 0;  ///< where it begins on the reference grid
  uint64_t y = 0;
  std::vector<Jp2PrecinctBand> bands;
};

struct Jp2Band {
  Rect area;
  int orientation = 0;  ///< 0 LL, 1 HL, 2 LH, 3 HH
  uint32_t planes = 0;  ///< magnitude bits
  float step = 1;
};

struct Jp2Resolution {
  Rect area;
  std::vector<Jp2Band> bands;
  std::vector<Jp2Precinct> precincts;
};

struct Jp2TileComponent {
  Rect area;
  Jp2Coding coding;
  std::vector<Jp2Resolution> resolutions;
  std::vector<int32_t> values;  ///< reversible: samples; else floats' bits are in `reals`
  std::vector<float> reals;
};

struct Jp2Order {
  uint32_t progression = 0;  ///< LRCP, RLCP, RPCL, PCRL, CPRL
  uint32_t layers = 1;
  bool has_end_marks = false;
};

/// Bands, precincts and blocks of a tile-component; `dx`, `dy` its subsampling, `precision` its
/// bits. kLimit where there would be too many.
Result<void> jp2_partition(Jp2TileComponent& component, uint32_t dx, uint32_t dy, Rect tile,
                           uint32_t precision);
/// Sorts the packets' data to the blocks. Ends quietly where the data ends.
Result<void> jp2_read_packets(Bytes data, const Jp2Order& order,
                              std::vector<Jp2TileComponent>& components);
/// The coefficients of a block, twice as large as they are, so that a half can be said.
Result<std::vector<int32_t>> jp2_decode_block(const Jp2Block& block, const Jp2Band& band,
                                              uint32_t style);
/// Decodes all blocks of a component and makes its samples.
Result<void> jp2_reconstruct(Jp2TileComponent& component);

}  // namespace quern::image
