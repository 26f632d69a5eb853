// What com.microsoft's Attention, QAttention, MultiHeadAttention and GroupQueryAttention share.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "ops/common/attention_shape.h"
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {

/// The operands of quern.Attention, as they are gathered.
struct Heads {
  Value* q = nullptr;
  Value* k = nullptr;
  Value* v = nullptr;
  int64_t rows_first = 0;              ///< attention::Layout, of operands
  std::vector<int64_t> starts, steps;  ///< of packed heads; empty: whole tensors
  int64_t heads = 0, kv_heads = 0;     ///< where they are packed
  Value* mask = nullptr;               ///< added to scores
  Value* offsets = nullptr;
  Value* sink = nullptr;
  int64_t causal = 0, window = 0;
  float softcap = 0;
};

/// softmax(q k^T * scale + mask) v as [batch, queries, heads * size]; the node's attribute `scale`
/// (0 or missing: by the head size).
Value* add_attention(Expansion& e, const Node& node, const Heads& h);

/// x [batch, rows, heads * size] as [batch, rows, heads, size].
Value* split_heads(Expansion& e, Value* x, int64_t heads);
/// Heads `start`.. of x [batch, rows, all heads, size] as [batch, heads, rows, size].
Value* heads_first(Expansion& e, Value* x, int64_t start, int64_t heads, int64_t all);

/// A padding mask in any of its forms as numbers added to scores, [batch, 1, 1 or queries, keys]:
/// 1 for seen and 0 for not, [batch, keys], [batch, queries, keys] or [batch, 1, .., ..] (of which
/// rows from `past` on and the first `keys` columns are taken); or [batch] lengths; or [2 * batch]
/// ends, then starts. `keys`, `queries` and `past` (or null) are extents, i64 lists of one.
Result<Value*> add_padding_mask(Expansion& e, const Node& node, Value* mask, const Dim& batch,
                                Value* queries, Value* keys, Value* past, DType type);

/// Attention and QAttention, where they agree: q, k and v lie in `qkv`, [batch, rows, sizes], sizes
/// as in the node or equal. Sets outputs 0 and 1.
struct PackedProjection {
  Value* qkv = nullptr;
  Value* mask = nullptr;
  Value* past = nullptr;
  Value* bias = nullptr;  ///< added to scores
};
Result<void> expand_packed_attention(Expansion& e, Node& node, const PackedProjection& p);
/// The shapes of its outputs; `columns` is the extent of q, k and v together.
Result<void> infer_packed_attention(InferContext& ctx, DType type, const Dim& columns,
                                    size_t past_input);

/// The attribute num_heads, checked.
Result<int64_t> head_count(const Node& node, std::string_view attribute = "num_heads");

}  // namespace quern
