// Row-wise operators: softmax and the normalisations that layer_normalization.wgsl computes.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "ir/op_context.h"
#include "shader/lower.h"

namespace quern {

/// A tensor as rows along an axis: `rows` of `length` elements that lie `inner` apart.
struct Rows {
  int64_t rows = 0;
  int64_t length = 0;
  int64_t inner = 1;
};
/// Along `axis` of dims; with `flatten` an element runs over all axes from `axis` on.
Rows rows_along(const Dims& dims, size_t axis, bool flatten);

/// Invocations that share a row, and a workgroup's invocations: four classes.
struct RowSchedule {
  uint32_t workgroup = 64;
  uint32_t lanes = 64;
  uint32_t held = 0;  ///< fours of its row that an invocation holds; 0: none
};
RowSchedule row_schedule(const Rows& rows);
/// Rows held in registers where their length is `fixed` and short enough; else row_schedule.
RowSchedule held_schedule(const Rows& rows, bool fixed);
/// Long rows of neighbours by aligned fours, a workgroup each (softmax_quads.wgsl and its like).
std::optional<RowSchedule> quads_schedule(const Rows& rows, const Target& target);
/// Workgroups for all rows.
std::array<uint64_t, 3> row_workgroups(const Rows& rows, const RowSchedule& schedule,
                                       const Target& target);

/// y = (x - mean) / sqrt(variance + epsilon) * scale + bias by rows of neighbours; the scale and
/// bias of element i of row r are number r % group_rows * group_step + i / divisor.
struct NormRows {
  int64_t rows = 0;
  int64_t length = 0;
  size_t axis = 0;  ///< rows are over this and later axes, at most
  int64_t group_rows = 1;
  int64_t group_step = 0;
  int64_t divisor = 1;
  float epsilon = 1e-5f;
  bool rms = false;  ///< no mean; output 1 is the inverse root
};
/// For LayerNormalization and RMSNormalization: over the axes from `axis` on.
Result<NormRows> layer_norm_rows(const OpContext& ctx, bool rms);
/// OpDef::expand of these two: where scale or bias is known not to have the normalised axes' shape
/// (it broadcasts to the input), the node with a scale of 1, and Mul and Add behind it.
Result<bool> expand_broadcast_norm(Graph& graph, Node& node);
Result<NormRows> instance_norm_rows(const OpContext& ctx);
Result<NormRows> group_norm_rows(const OpContext& ctx);
/// Inputs x, scale, bias; outputs y, mean, inverse (with rms: y, inverse).
Result<void> lower_norm(LowerContext& ctx, const NormRows& norm);

/// The axis of Softmax, LogSoftmax and Hardmax, and whether they flatten (before version 13).
Result<size_t> softmax_axis(const OpContext& ctx, bool* flatten);
Result<void> infer_softmax(InferContext& ctx);
Result<void> lower_softmax(LowerContext& ctx, bool log);

}  // namespace quern
