// Fused attention: the CPU kernel and the generic form against the definition.
#include <cmath>

#include "ir/print.h"
#include "ir/verify.h"
#include "ops/common/kernel_testing.h"

namespace quern {

extern const CpuKernel cpu_fused_attention;

namespace {

TEST(FusedAttention, AgreesWithTheDefinition) {
  Random random(31);
  for (int round = 0; round < 40; ++round) {
    const int64_t batch = random.integer(1, 2), group = random.integer(1, 3),
                  kv = random.integer(1, 2);
    const int64_t heads = group * kv, queries = random.integer(1, 40), keys = random.integer(1, 50);
    const int64_t head = random.integer(1, 20), head_v = random.integer(1, 20);
    const HostTensor q = random.floats({batch, heads, queries, head}, 3);
    const HostTensor k = random.floats({batch, kv, keys, head});
    const HostTensor v = random.floats({batch, kv, keys, head_v});
    const int mask_kind = round % 3;  // none, float, bool
    const int64_t causal = random.integer(0, 2);
    const bool zero = random.chance(2);
    const float cap = random.chance(3) ? 1.5f : 0.0f;
    const Dims masks[] = {{queries, keys}, {heads, 1, keys}, {batch, 1, queries, keys}, {keys}};
    HostTensor mask = random.floats(masks[round % 4], 2);
    for (int64_t i = 0; i < mask.count(); ++i) {
      if (random.chance(5) || i < keys) mask.set_float(i, -INFINITY);
    }
    if (mask_kind == 2) {
      std::vector<int64_t> seen;
      for (int64_t i = 0; i < mask.count(); ++i) seen.push_back(mask.float_at(i) > -1 ? 1 : 0);
      mask = HostTensor::of_ints(DType::kBool, mask.dims, seen);
    }
    NodeUnderTest node("Attention", 1, 1, "quern");
    node.input(q).input(k).input(v);
    if (mask_kind > 0) node.input(mask);
    node.set("scale", 0.4f).set("is_causal", causal).set("softcap", cap);
    node.set("nan_to_zero", int64_t{zero});
    const auto got = node.run_kernel(cpu_fused_attention);
    ASSERT_TRUE(got) << got.error().message;
    HostTensor want = (*got)[0];
    const auto masked = [&](int64_t b, int64_t h, int64_t i, int64_t j) {
      const int64_t full[] = {b, h, i, j};
      int64_t at = 0;
      for (size_t a = 0; a < mask.dims.size(); ++a) {
        const int64_t x = full[4 - mask.dims.size() + a];
        at = at * mask.dims[a] + (mask.dims[a] == 1 ? 0 : x);
      }
      return mask.float_at(at);
    };
    for (int64_t row = 0; row < batch * heads * queries; ++row) {
      const int64_t i = row % queries, h = row / queries % heads, b = row / queries / heads;
      std::vector<double> e;
      double top = -INFINITY, sum = 0;
      for (int64_t j = 0; j < keys; ++j) {
        double s = 0;
        for (int64_t d = 0; d < head; ++d) {
          s +=
              q.float_at(row * head + d) * k.float_at(((b * kv + h / group) * keys + j) * head + d);
        }
        s *= 0.4f;
        if (cap != 0) s = cap * std::tanh(s / cap);
        if (mask_kind == 1) s += masked(b, h, i, j);
        if (mask_kind == 2 && masked(b, h, i, j) == 0) s = -INFINITY;
        if (causal != 0 && j > i + (causal == 2 ? keys - queries : 0)) s = -INFINITY;
        e.push_back(s);
        top = std::max(top, s);
      }
      for (double& s : e) sum += s = std::isinf(top) ? 0 : std::exp(s - top);
      for (int64_t d = 0; d < head_v; ++d) {
        double o = 0;
        for (int64_t j = 0; j < keys; ++j) {
          o += e[static_cast<size_t>(j)] *
               v.float_at(((b * kv + h / group) * keys + j) * head_v + d);
        }
        want.set_float(row * head_v + d, sum == 0 ? (zero ? 0 : NAN) : o / sum);
      }
    }
    EXPECT_LT(difference((*got)[0], want), 1e-5) << "round " << round;
    if (round % 4 != 0) continue;  // the generic form is slow
    const auto generic = node.evaluate();
    ASSERT_TRUE(generic) << generic.error().message;
    EXPECT_LT(difference((*generic)[0], want), 1e-5) << "round " << round;
  }
}

/// The operators that an Attention node of ONNX becomes.
std::string expanded(const std::string& text) {
  auto graph = parse_graph(text);
  if (!graph) return graph.error().message;
  Node& node = *(*graph)->nodes()[0];
  const auto done = find_op(node)->expand(**graph, node);
  if (!done) return done.error().message;
  if (const auto valid = verify(**graph); !valid) return valid.error().message;
  std::string out;
  for (const auto& n : (*graph)->nodes()) {
    if (!out.empty()) out += " ";
    out += n->op;
    if (n->domain == "quern") out += cat("(", n->int_or("is_causal", 0), ")");
  }
  return out;
}

TEST(Attention, ExpandsToTheFusedOne) {
  const std::string types = "%q: f32[b, 4, s, 8], %k: f32[b, 2, t, 8], %v: f32[b, 2, t, 8]";
  EXPECT_EQ(expanded(cat("graph g(", types,
                         ") { %y = Attention@23(%q, %k, %v) {is_causal = 1}\n"
                         "return %y }")),
            "Attention(1)");
  EXPECT_EQ(expanded("graph g(%q: f32[b, s, 32], %k: f32[b, s, 16], %v: f32[b, s, 16],"
                     "%p: f32[b, 2, n, 8]) { %y, %pk = Attention@23(%q, %k, %v, _, %p, %p) "
                     "{is_causal = 1, q_num_heads = 4, kv_num_heads = 2}\n return %y, %pk }"),
            "Reshape Transpose Reshape Transpose Reshape Transpose Concat Concat Attention(2) "
            "Transpose Reshape");
  // The cache's length is not the difference of keys and queries: a mask says what is seen.
  EXPECT_EQ(expanded(cat("graph g(", types,
                         ", %p: f32[b, 2, n, 8]) { %y = Attention@23(%q, %k, "
                         "%v, _, %p, %p) {is_causal = 1}\n return %y }")),
            "Concat Concat Shape Squeeze Range Shape Squeeze Range Unsqueeze Shape Add LessOrEqual "
            "Attention(0)");
  EXPECT_NE(expanded("graph g(%q: f32[3, 32]) { %y = Attention@23(%q, %q, %q)\n return %y }")
                .find("unknown rank"),
            std::string::npos);
}

}  // namespace
}  // namespace quern
