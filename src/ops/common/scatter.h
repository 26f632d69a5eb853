// Scattering: slices of an updates tensor replace, or are combined with, slices of the data.
// Duplicates are combined in the order of the updates; where nothing combines them the last one
// stays. So results are the same in every run and on every device.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/op_def.h"
#include "shader/lower.h"

namespace quern {

enum class ScatterReduction : uint8_t { kNone, kAdd, kMul, kMax, kMin };
/// The attribute `reduction`; "none" where absent.
Result<ScatterReduction> scatter_reduction(const Node& node);

/// A scatter in one binding: the data are `targets` slices of `inner` elements, of which update
/// number u of `updates` names one. Inputs: data, indices, updates.
struct ScatterShape {
  int64_t targets = 1, inner = 1, updates = 1;
  ScatterReduction reduction = ScatterReduction::kNone;
  /// Update u is at these indices, and its target is the sum of `terms` of places.
  Dims update_dims;
  struct Term {
    int64_t extent = 0, stride = 0;  ///< of the data's axis, in targets
    int32_t axis = -1;               ///< the update's own place along its axis, or
    int32_t column = -1;             ///< an element of `indices`, counted in its last axis
  };
  std::vector<Term> terms;
  int64_t columns = 0;  ///< extent of the last axis of `indices` that `column` counts in
};
/// Of ScatterElements, whose dims are checked, and of ScatterND.
Result<ScatterShape> scatter_elements_shape(const Node& node, const Dims& data, const Dims& indices,
                                            const Dims& updates);
Result<ScatterShape> scatter_nd_shape(const Node& node, const Dims& data, const Dims& indices,
                                      const Dims& updates);
using ScatterShapeOf = Result<ScatterShape> (*)(const Node&, const Dims&, const Dims&, const Dims&);

// For OpDef.
Result<void> infer_scatter(InferContext& c, ScatterShapeOf shape_of);
Result<void> lower_scatter(LowerContext& ctx, ScatterShapeOf shape_of);
Result<void> eval_scatter(EvalContext& c, ScatterShapeOf shape_of);

}  // namespace quern
