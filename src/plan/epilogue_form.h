// One form for epilogues that do the same: fewer programs to compile.
#pragma once

#include <limits>
#include <optional>

#include "ops/compose.h"

namespace quern {

/// Of commutative operations the anchor's side comes first, and of the inputs the anchor, then
/// those loaded first.
void order_epilogue(Composed& epilogue);

/// The anchor, or its sum with another element, bounded by constants on either side, both or none.
struct BoundedSum {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  /// The sum's other side, an input of the job at the same place; kUnused: there is none.
  uint32_t residual = Composed::kUnused;
};
/// What an ordered epilogue is, where it is of f32 and of that form.
std::optional<BoundedSum> bounded_sum_of(const Composed& epilogue);

/// One program for all convolutions with Relu, Relu6 or nothing behind them: the bounds, and
/// whether something is added, are parameters. `may_add`: false leaves the sum's other side out.
Composed compose_bounded_sum(const BoundedSum& sum, int64_t count, bool may_add);

}  // namespace quern
