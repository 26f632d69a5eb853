// Fused attention in one binding.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// Inputs of quern.Attention.
namespace attention {
enum Input : size_t { kQ, kK, kV, kMask, kOffsets, kSink };
/// Bits of its attribute `rows_first`: tensors that are [batch, rows, heads, size].
enum Layout : int64_t { kQRows = 1, kKRows = 2, kVRows = 4, kYRows = 8 };
/// The place of `blocks`, or `slices` of one query, among the parameters that its kernels have in
/// common.
inline constexpr size_t kBlocksParam = 5;
}  // namespace attention

/// Elements from one batch, head and row of a tensor to the next, and before the first head.
struct HeadStrides {
  int64_t batch = 0, head = 0, row = 0, start = 0;
};

/// Where a tensor of several operands (the attributes `heads`, `kv_heads`, `head_starts`,
/// `head_steps`) has the heads of one: every `step`-th from `start` on.
struct PackedHeads {
  bool packed = false;
  int64_t heads = 0, start = 0, step = 1;
};
PackedHeads packed_heads(const Node& node, size_t input);

/// q [batch, heads, queries, head], k [batch, heads / group, keys, head], v [.., head_v], or with
/// rows before heads.
struct AttentionShape {
  int64_t batch = 0, heads = 0, group = 1, queries = 0, keys = 0, head = 0, head_v = 0;
  HeadStrides q, k, v, y;
  float scale = 1, softcap = 0;
  bool causal = false;
  /// Query i sees keys up to i + causal_offset, or where has_offsets, to i plus its batch's offset.
  int64_t causal_offset = 0;
  bool has_offsets = false;
  bool last_sees_all = false;  ///< every query sees as far as the last one
  int64_t window = 0;          ///< not 0: it sees only so many keys, the last ones of those
  bool has_sink = false;
  /// The query that decides how far query i sees.
  [[nodiscard]] int64_t reach(int64_t query) const { return last_sees_all ? queries - 1 : query; }
  bool has_mask = false, mask_bool = false;
  int64_t mask[4] = {0, 0, 0, 0};  ///< strides in elements; 0 where it is broadcast
  bool nan_to_zero = false;
  [[nodiscard]] float empty_row() const { return nan_to_zero ? 0.0f : __builtin_nanf(""); }
};
Result<AttentionShape> attention_shape(const OpContext& ctx);

/// What kernels are made for or without; a part of their configurations.
struct AttentionExtras {
  bool mask = false, mask_bool = false, softcap = false, offsets = false, sink = false;
  AttentionExtras() = default;
  explicit AttentionExtras(const AttentionShape& s)
      : mask(s.has_mask),
        mask_bool(s.mask_bool),
        softcap(s.softcap != 0),
        offsets(s.has_offsets),
        sink(s.has_sink) {}
  template <class F>
  void fields(F&& f) const {
    f("MASK", uint32_t{mask});
    f("MASK_BOOL", mask_bool);
    f("SOFTCAP", softcap);
    f("OFFSETS", uint32_t{offsets});
    f("SINK", uint32_t{sink});
  }
};

}  // namespace quern
