#include "ops/common/linear_attention.h"

#include <cmath>

namespace quern {

Result<LinearAttentionShape> linear_attention_shape(const OpContext& ctx) {
  using S = LinearAttentionShape;
  const Dims& q = ctx.input(S::kQuery).dims;
  const Dims& k = ctx.input(S::kKey).dims;
  const Dims& v = ctx.input(S::kValue).dims;
  S s;
  s.heads = ctx.node().int_or("kv_num_heads", 0);
  const int64_t query_heads = ctx.node().int_or("q_num_heads", 0);
  const auto wrong = [&] {
    return ctx.error(cat("query ", q, ", key ", k, " and value ", v, " for ", query_heads, " and ",
                         s.heads, " heads"));
  };
  if (q.size() != 3 || k.size() != 3 || v.size() != 3 || s.heads < 1 ||
      query_heads % s.heads != 0 || query_heads < 1) {
    return wrong();
  }
  s.batch = q[0];
  s.positions = q[1];
  s.group = query_heads / s.heads;
  s.keys = k[2] / s.heads;
  s.values = v[2] / s.heads;
  if (query_heads > std::max<int64_t>(q[2], 1) && s.keys != 0) return wrong();
  if (k[2] % s.heads != 0 || v[2] % s.heads != 0 || q[2] != query_heads * s.keys || k[0] != q[0] ||
      v[0] != q[0] || k[1] != q[1] || v[1] != q[1]) {
    return wrong();
  }
  s.scale = ctx.node().float_or("scale", 0.0f);
  if (s.scale == 0) {
    s.scale = static_cast<float>(1 / std::sqrt(static_cast<double>(std::max<int64_t>(s.keys, 1))));
  }
  const std::string_view rule = ctx.node().string_or("update_rule", "gated_delta");
  s.decays = rule == "gated" || rule == "gated_delta";
  s.delta = rule == "delta" || rule == "gated_delta";
  if (s.decays) {
    if (!ctx.has_input(S::kDecay)) return ctx.error(cat("update_rule ", rule, " without decay"));
    const Dims& d = ctx.input(S::kDecay).dims;
    const bool each = d.size() == 3 && d[2] == s.heads * s.keys;
    if (d.size() != 3 || d[0] != s.batch || d[1] != s.positions || (!each && d[2] != s.heads)) {
      return ctx.error(cat("decay ", d, " for ", s.heads, " heads of ", s.keys, " elements"));
    }
    s.decay_row = d[2];
    s.decay_head = each ? s.keys : 1;
    s.decay_key = each ? 1 : 0;
  }
  if (s.delta) {
    if (!ctx.has_input(S::kBeta)) return ctx.error(cat("update_rule ", rule, " without beta"));
    const Dims& d = ctx.input(S::kBeta).dims;
    if (d.size() != 3 || d[0] != s.batch || d[1] != s.positions || (d[2] != 1 && d[2] != s.heads)) {
      return ctx.error(cat("beta ", d, " for ", s.heads, " heads"));
    }
    s.beta_row = d[2];
    s.beta_head = d[2] == 1 ? 0 : 1;
  }
  if (ctx.has_input(S::kPast) &&
      ctx.input(S::kPast).dims != Dims{s.batch, s.heads, s.keys, s.values}) {
    return ctx.error(cat("past state ", ctx.input(S::kPast).dims, ", expected ",
                         Dims{s.batch, s.heads, s.keys, s.values}));
  }
  return s;
}

}  // namespace quern
