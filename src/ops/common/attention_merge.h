// Slices of attention's keys put together: attention_merge.wgsl.
#pragma once

#include "ops/common/attention_shape.h"
#include "shader/lower.h"

namespace quern {

/// Memory for what the slices give, f32: for each batch, head and query, and slice, sums of values,
/// the largest score, the weights' sum, two unused.
Result<Storage> attention_slices(LowerContext& ctx, const AttentionShape& s, int64_t slices);
/// The call that follows `call`, which gets `part` (of attention_slices) instead of its last
/// binding; what is fused into the output goes with it. `groups`: of invocations that share the
/// slices of a row, at most 128 / (head_v / 4), or 1.
KernelCall attention_merge(const LowerContext& ctx, const AttentionShape& s, KernelCall& call,
                           int64_t slices, int64_t groups, Storage part);

}  // namespace quern
