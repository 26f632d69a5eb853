// Which f32 tensors lie in device memory as f16: docs/precision.md.
#pragma once

#include <optional>
#include <set>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"
#include "passes/passes.h"
#include "passes/placement.h"

namespace quern {

/// What the pass is told.
struct NarrowOptions {
  /// Largest magnitude among the elements of each entry of the weight table; NaN where it is not
  /// known. Those beyond the list are not known.
  std::vector<float> weight_peaks;
  /// The weights that are f16, where another graph of the session has decided already.
  std::optional<std::set<uint32_t>> weights;
};

/// Decides what `placement.narrow` says of a graph that is ready to be walked: large device tensors
/// of type f32 whose estimated magnitudes fit into f16, all of whose readers take f16, and whose
/// rounding none of their readers would turn into much more. Inputs, outputs, state and what the
/// host reads stay f32. The graph itself keeps its types: kernels widen what they load.
/// Hits: "f16 values", "f16 weights", and "f32 by range", tensors that may be too large or small.
Result<void> narrow(Graph& graph, Placement& placement, const NarrowOptions& options,
                    PassReport& report);

/// The weights that are f16, by number.
std::set<uint32_t> narrow_weights(Graph& graph, const Placement& placement);

}  // namespace quern
