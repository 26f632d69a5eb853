// One form for epilogues that do the same: fewer programs to compile.
#pragma once

#include <limits>
#include <optional>

#include "ops/compose.h"

namespace quern {

/// Of commutative operations the anchor's side comes first, and of the inputs the anchor, then
/// those loaded first.
void order_epilogue(Composed& epilogue);

/// What most convolutions have behind them: nothing, bounds by constants (Relu, Relu6, Clip) or x
/// times its sigmoid; and a residual, before that or after.
struct CommonEpilogue {
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
  bool swish = false;  ///< not bounds
  /// An input of the job, read at the same place; kUnused: there is none.
  uint32_t residual = Composed::kUnused;
  bool added_after = false;
};
/// What an ordered epilogue is, where it is of f32 and of that form.
std::optional<CommonEpilogue> common_epilogue_of(const Composed& epilogue);

/// One program for all of them, or, where `whole` is false, for those with bounds and with a
/// residual before them or without: what differs are parameters.
Composed compose_common(const CommonEpilogue& epilogue, int64_t count, bool whole);

}  // namespace quern
