// Kernels of attention that may take the keys in slices, whose results attention_merge.wgsl then
// puts together.
#pragma once

#include <vector>

#include "ops/common/attention_shape.h"
#include "shader/lower.h"

namespace quern {

/// Dispatches `call`, whose last binding is the output. With more than one slice it gives instead,
/// in f32, for each batch, head and query, and slice: sums of values, the largest score, the
/// weights' sum, two unused; and what is fused into the output goes with the kernel behind it.
/// `few_rows`: of that one several invocations share a row's slices.
Result<void> dispatch_attention(LowerContext& ctx, const AttentionShape& s, KernelCall call,
                                int64_t slices, bool few_rows);
/// Makes the programs of calls in slices, and of what puts them together.
Result<void> prepare_sliced_attention(LowerContext& ctx, const AttentionShape& s,
                                      std::vector<KernelCall> calls, bool few_rows);

}  // namespace quern
