// How large the elements of tensors may become, and which operators bear rounding: what decides
// between f16 and f32 (passes/narrow.cc).
#pragma once

#include <cstdint>
#include <vector>

#include "ir/graph.h"

namespace quern {

/// The largest finite f16.
inline constexpr double kLargestF16 = 65504;

/// What is known of a value's elements.
struct Magnitude {
  double peak = 0;        ///< estimated largest magnitude; infinite: not known
  bool is_exact = false;  ///< positions, counts, inputs as given: no digit may be lost
};

/// What an operator makes of rounded inputs.
struct OpTraits {
  uint64_t takes_f16 = 0;       ///< bit i: the node's kernels read input i as f16 as well
  uint64_t sensitive = 0;       ///< bit i: rounding input i may change the result by much more
  bool passes_rounding = true;  ///< an error of an input shows undiminished in the outputs
};
OpTraits traits_of(const Node& node);

/// The magnitude of a node's outputs; `of` are those of its inputs (of absent ones 0).
Magnitude magnitude_of(const Node& node, const std::vector<Magnitude>& of);

/// Does its kernel store whole words of f16, without a detour over f32? Of nodes with a
/// hand-written kernel, whose shapes are inferred.
bool stores_words_of_f16(const Node& node);

}  // namespace quern
