// Matrices of 2, 4 or 8 bits an element, quantised in blocks (MatMulNBits).
#pragma once

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

namespace nbits {
enum Input : size_t { kA, kB, kScales, kZeroPoints, kGroupIndex, kBias };
}

/// The attributes, checked. b is [n, blocks, bytes of a block]; scales are [n, blocks]; zero points
/// are the same, or packed like b in rows of whole bytes.
struct NBits {
  int64_t n = 0, k = 0, block = 0, bits = 4;
  [[nodiscard]] int64_t blocks() const { return (k + block - 1) / block; }
  [[nodiscard]] int64_t row_bytes() const { return blocks() * block * bits / 8; }
  [[nodiscard]] int64_t zero_row() const { return (blocks() * bits + 7) / 8; }
};
Result<NBits> read_nbits(const Node& node);

}  // namespace quern
