#include "ops/common/attention_shape.h"

#include <algorithm>
#include <cmath>

namespace quern {

namespace {

/// Dims as [batch, heads, rows, size], and strides.
Dims heads_first(const Dims& dims, bool rows_first, const PackedHeads& packed,
                 HeadStrides& strides) {
  const int64_t all = dims[1] * dims[2] * dims[3];
  Dims out = dims;
  if (rows_first) {
    strides = {all, dims[3], dims[2] * dims[3]};
    std::swap(out[1], out[2]);
  } else {
    strides = {all, dims[2] * dims[3], dims[3]};
  }
  if (packed.packed) {
    if (packed.heads < 1 || packed.start < 0 || packed.step < 1 ||
        packed.start + (packed.heads - 1) * packed.step >= out[1]) {
      return {};
    }
    out[1] = packed.heads;
    strides.start = packed.start * strides.head;
    strides.head *= packed.step;
  }
  return out;
}

}  // namespace

PackedHeads packed_heads(const Node& node, size_t input) {
  PackedHeads p;
  const std::vector<int64_t>* starts = node.ints("head_starts");
  if (starts == nullptr || starts->size() != 3 || input > 2) return p;
  p.packed = true;
  p.heads = node.int_or(input == 0 ? "heads" : "kv_heads", 0);
  p.start = (*starts)[input];
  const std::vector<int64_t>* steps = node.ints("head_steps");
  if (steps != nullptr && steps->size() == 3) p.step = (*steps)[input];
  return p;
}

Result<AttentionShape> attention_shape(const OpContext& ctx) {
  using enum attention::Input;
  const auto wrong = [&] {
    return ctx.error(cat("q ", ctx.input(kQ).dims, ", k ", ctx.input(kK).dims, " and v ",
                         ctx.input(kV).dims, " don't fit together"));
  };
  for (size_t i = kQ; i <= kV; ++i) {
    if (ctx.input(i).rank() != 4) return wrong();
  }
  AttentionShape s;
  const int64_t rows_first = ctx.node().int_or("rows_first", 0);
  const Dims q = heads_first(ctx.input(kQ).dims, (rows_first & attention::kQRows) != 0,
                             packed_heads(ctx.node(), kQ), s.q);
  const Dims k = heads_first(ctx.input(kK).dims, (rows_first & attention::kKRows) != 0,
                             packed_heads(ctx.node(), kK), s.k);
  const Dims v = heads_first(ctx.input(kV).dims, (rows_first & attention::kVRows) != 0,
                             packed_heads(ctx.node(), kV), s.v);
  if (q.empty() || k.empty() || v.empty()) return wrong();
  s.batch = q[0];
  s.heads = q[1];
  s.queries = q[2];
  s.head = q[3];
  s.keys = k[2];
  s.head_v = v[3];
  if (k[0] != s.batch || v[0] != s.batch || k[1] != v[1] || v[2] != s.keys || k[3] != s.head ||
      (k[1] == 0 ? s.heads != 0 : s.heads % k[1] != 0)) {
    return wrong();
  }
  const bool y_rows = (rows_first & attention::kYRows) != 0;
  heads_first(y_rows ? Dims{s.batch, s.queries, s.heads, s.head_v}
                     : Dims{s.batch, s.heads, s.queries, s.head_v},
              y_rows, {}, s.y);
  s.group = k[1] == 0 ? 1 : s.heads / k[1];
  s.scale = ctx.node().float_or(
      "scale",
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(s.head, 1)))));
  s.softcap = ctx.node().float_or("softcap", 0.0f);
  const int64_t causal = ctx.node().int_or("is_causal", 0);
  s.causal = causal != 0;
  s.causal_offset = causal == 2 ? s.keys - s.queries : 0;
  s.has_offsets = ctx.has_input(kOffsets);
  s.last_sees_all = causal == 3;
  s.window = std::max<int64_t>(ctx.node().int_or("window", 0), 0);
  s.has_sink = ctx.has_input(kSink);
  if (s.has_offsets && (!s.causal || ctx.input(kOffsets).count() != s.batch)) {
    return ctx.error(cat("offsets ", ctx.input(kOffsets).dims, " for a batch of ", s.batch));
  }
  if (s.has_sink && ctx.input(kSink).count() != s.heads) {
    return ctx.error(cat("sinks ", ctx.input(kSink).dims, " for ", s.heads, " heads"));
  }
  s.nan_to_zero = ctx.node().int_or("nan_to_zero", 0) != 0;
  if (!ctx.has_input(kMask)) return s;
  s.has_mask = true;
  s.mask_bool = ctx.input(kMask).dtype == DType::kBool;
  const Dims& m = ctx.input(kMask).dims;
  const int64_t want[4] = {s.batch, s.heads, s.queries, s.keys};
  if (m.size() > 4) return ctx.error(cat("mask ", m, " has more than four axes"));
  int64_t stride = 1;
  for (size_t i = 0; i < m.size(); ++i) {
    const int64_t d = m[m.size() - 1 - i];
    // Keys past those that any query sees need no mask.
    const bool enough = i == 0 && s.has_offsets;
    if (d != 1 && d != want[3 - i] && !enough) {
      return ctx.error(cat("mask ", m, " does not broadcast to ", Dims(want, want + 4)));
    }
    s.mask[3 - i] = d == 1 ? 0 : stride;
    stride *= d;
  }
  return s;
}

}  // namespace quern
