#include "ops/common/attention_shape.h"

#include <cmath>

namespace quern {

Result<AttentionShape> attention_shape(const OpContext& ctx) {
  const Dims& q = ctx.input(0).dims;
  const Dims& k = ctx.input(1).dims;
  const Dims& v = ctx.input(2).dims;
  const auto wrong = [&] {
    return ctx.error(cat("q ", q, ", k ", k, " and v ", v, " don't fit together"));
  };
  if (q.size() != 4 || k.size() != 4 || v.size() != 4) return wrong();
  AttentionShape s;
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
  s.group = k[1] == 0 ? 1 : s.heads / k[1];
  s.scale = ctx.node().float_or(
      "scale",
      static_cast<float>(1.0 / std::sqrt(static_cast<double>(std::max<int64_t>(s.head, 1)))));
  s.softcap = ctx.node().float_or("softcap", 0.0f);
  const int64_t causal = ctx.node().int_or("is_causal", 0);
  s.causal = causal != 0;
  s.causal_offset = causal == 2 ? s.keys - s.queries : 0;
  s.nan_to_zero = ctx.node().int_or("nan_to_zero", 0) != 0;
  if (!ctx.has_input(3)) return s;
  s.has_mask = true;
  s.mask_bool = ctx.input(3).dtype == DType::kBool;
  const Dims& m = ctx.input(3).dims;
  const int64_t want[4] = {s.batch, s.heads, s.queries, s.keys};
  if (m.size() > 4) return ctx.error(cat("mask ", m, " has more than four axes"));
  int64_t stride = 1;
  for (size_t i = 0; i < m.size(); ++i) {
    const int64_t d = m[m.size() - 1 - i];
    if (d != 1 && d != want[3 - i]) {
      return ctx.error(cat("mask ", m, " does not broadcast to ", Dims(want, want + 4)));
    }
    s.mask[3 - i] = d == 1 ? 0 : stride;
    stride *= d;
  }
  return s;
}

}  // namespace quern
