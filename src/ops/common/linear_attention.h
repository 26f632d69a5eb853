// LinearAttention in one binding.
#pragma once

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// Query [batch, positions, heads * group * keys], key [.., heads * keys], value
/// [.., heads * values]; states [batch, heads, keys, values].
struct LinearAttentionShape {
  enum Input : size_t { kQuery, kKey, kValue, kPast, kDecay, kBeta };

  int64_t batch = 0, positions = 0, heads = 0, group = 1, keys = 0, values = 0;
  float scale = 1;
  bool decays = false;  ///< the state shrinks before each update
  bool delta = false;   ///< what the state knows already is not written again
  /// Strides of decay and beta: by position (counted through all batches), head, key element.
  int64_t decay_row = 0, decay_head = 0, decay_key = 0, beta_row = 0, beta_head = 0;
};
Result<LinearAttentionShape> linear_attention_shape(const OpContext& ctx);

}  // namespace quern
