// Attention of one query: attention_vector.wgsl and attention_merge.wgsl.
#pragma once

#include "ops/common/attention_shape.h"
#include "shader/lower.h"

namespace quern {

/// Dispatches it: `call` has the bindings and parameters that attention's kernels have in common.
/// With few heads the keys are cut into slices, so that there is work for all cores. `varies`: the
/// programs for other lengths are made too.
Result<void> dispatch_attention_vector(LowerContext& ctx, const AttentionShape& s, KernelCall call,
                                       bool varies);
/// Makes its programs, for another binding of the dims.
Result<void> prepare_attention_vector(LowerContext& ctx, const AttentionShape& s,
                                      const KernelCall& call);

}  // namespace quern
