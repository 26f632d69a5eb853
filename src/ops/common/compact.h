// Stream compaction: prefix sums, and the places of what is set.
#pragma once

#include "base/result.h"
#include "ops/common/expansion.h"
#include "shader/lower.h"

namespace quern {

/// Sums of the u32 numbers before each of `count` u32 numbers, on the device.
struct PrefixSums {
  Storage sums;   ///< u32 [count]
  Storage total;  ///< u32 [total_at + 1]; the sum of all is its last element
  int64_t total_at = 0;
};
Result<PrefixSums> prefix_sums(LowerContext& ctx, Storage numbers, int64_t count);

/// The places of `count` u32 flags that are 1, in order, to `places` (u32 or i32, `count` of
/// them); its `sums` are absent.
Result<PrefixSums> set_places(LowerContext& ctx, Storage flags, int64_t count, Storage places);

/// The sum of all as the only element of an i64 output.
Result<void> store_total(LowerContext& ctx, const PrefixSums& sums, Storage out);

/// Adds quern.NonZeroPlaces and what cuts its result to the count: the places of the elements of
/// `x` (in row-major order) that are not 0, i32 [n].
Value* add_nonzero_places(Graph& graph, Node& node, Value* x);
/// The first `count` (i64 [1]) slices of axis 0 of a value.
Value* add_first(Graph& graph, Node& node, Value* value, Value* count);

/// Operator set version that expansions of data-dependent shapes use.
inline constexpr int kCompactVersion = 20;

}  // namespace quern
