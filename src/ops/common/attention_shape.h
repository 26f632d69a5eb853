// Fused attention in one binding.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// q [batch, heads, queries, head], k [batch, heads / group, keys, head], v [.., head_v].
struct AttentionShape {
  int64_t batch = 0, heads = 0, group = 1, queries = 0, keys = 0, head = 0, head_v = 0;
  float scale = 1, softcap = 0;
  bool causal = false;
  int64_t causal_offset = 0;  ///< query i sees keys up to i + causal_offset
  bool has_mask = false, mask_bool = false;
  int64_t mask[4] = {0, 0, 0, 0};  ///< strides in elements; 0 where it is broadcast
  bool nan_to_zero = false;
  [[nodiscard]] float empty_row() const { return nan_to_zero ? 0.0f : __builtin_nanf(""); }
};
Result<AttentionShape> attention_shape(const OpContext& ctx);

}  // namespace quern
