// GroupQueryAttention: causal attention with several query heads to one key head, a cache whose
// length differs among the batch, and rotary positions.
#include "ops/common/microsoft_attention.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"causal", AttributeKind::kInt},
    {"do_rotary", AttributeKind::kInt},
    {"k_quant_type", AttributeKind::kString},
    {"kv_cache_bit_width", AttributeKind::kInt},
    {"kv_num_heads", AttributeKind::kInt, true},
    {"local_window_size", AttributeKind::kInt},
    {"num_heads", AttributeKind::kInt, true},
    {"qk_norm_epsilon", AttributeKind::kFloat},
    {"qk_output", AttributeKind::kInt},
    {"rotary_interleaved", AttributeKind::kInt},
    {"scale", AttributeKind::kFloat},
    {"sliding_window_cache", AttributeKind::kInt},
    {"smooth_softmax", AttributeKind::kInt},
    {"softcap", AttributeKind::kFloat},
    {"v_quant_type", AttributeKind::kString},
};

enum Input : size_t {
  kQuery,
  kKey,
  kValue,
  kPastKey,
  kPastValue,
  kLengths,
  kTotal,
  kCos,
  kSin,
  kPositions,
  kScoreBias,
  kSink,
  kKeyScale,
  kValueScale,
  kQueryNorm,
  kKeyNorm
};

struct Counts {
  int64_t heads = 0, kv_heads = 0;
};

Result<Counts> counts_of(const Node& node) {
  Counts c;
  QUERN_ASSIGN(c.heads, head_count(node));
  QUERN_ASSIGN(c.kv_heads, head_count(node, "kv_num_heads"));
  if (c.heads % c.kv_heads != 0) {
    return invalid_model(
        cat(node.describe(), ": ", c.heads, " heads to ", c.kv_heads, " heads of keys"));
  }
  return c;
}

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(const Counts n, counts_of(ctx.node()));
  if (!ctx.has_input(kLengths) || !ctx.has_input(kTotal)) {
    return ctx.error("seqlens_k and total_sequence_length are required");
  }
  if (ctx.has_input(kKey) != ctx.has_input(kValue)) return ctx.error("key without value");
  const DType type = ctx.dtype(kQuery);
  for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, type, std::nullopt);
  QUERN_TRY(ctx.expect_rank(kQuery, 3));
  const Shape* q = ctx.shape(kQuery);
  if (q == nullptr) return {};
  const bool packed = !ctx.has_input(kKey);
  const int64_t all = packed ? n.heads + 2 * n.kv_heads : n.heads;
  const Dim size = floor_div((*q)[2], all);
  ctx.set(0, type, Shape{(*q)[0], (*q)[1], packed ? size * n.heads : (*q)[2]});
  const Shape* past = ctx.has_input(kPastKey) ? ctx.shape(kPastKey) : nullptr;
  if (ctx.has_input(kPastKey)) QUERN_TRY(ctx.expect_rank(kPastKey, 4));
  Dim total = ctx.fresh_dim(1, 2);
  const auto contents = ctx.contents(kTotal);
  if (contents && contents->size() == 1 && (past != nullptr || !ctx.has_input(kPastKey))) {
    total = past != nullptr ? max((*past)[2], (*contents)[0]) : (*contents)[0];
  }
  for (size_t i = 1; i < ctx.output_count() && i < 3; ++i) {
    ctx.set(i, type, Shape{(*q)[0], n.kv_heads, total, size});
  }
  return {};
}

Result<void> refuse(const Node& node) {
  const auto no = [&](std::string_view what) {
    return unsupported(cat(node.describe(), ": ", what));
  };
  for (const char* name : {"qk_output", "sliding_window_cache"}) {
    if (const int64_t value = node.int_or(name, 0); value != 0) {
      return no(cat(name, " is ", value, ", expected 0"));
    }
  }
  for (const char* name : {"k_quant_type", "v_quant_type"}) {
    if (const auto kind = node.string_or(name, "NONE"); kind != "NONE" && !kind.empty()) {
      return no(cat(name, " is '", kind, "', expected NONE"));
    }
  }
  if (node.input(kKeyScale) != nullptr || node.input(kValueScale) != nullptr) {
    return no("k_scale and v_scale, of a quantised cache, are not expected");
  }
  return {};
}

/// What an expansion goes by.
struct Parts {
  Expansion e;
  Node& node;
  Counts n;
  bool packed = false;
  Value* positions = nullptr;
  bool starts = false;  ///< `positions` are those of the first row

  [[nodiscard]] Value* in(size_t i) const { return node.input(i); }

  /// Heads `first`.. of x [batch, rows, all, size], normalised and rotated as the node says.
  Value* prepared(Value* x, int64_t first, int64_t heads, Value* norm) {
    int64_t all = packed ? n.heads + 2 * n.kv_heads : heads;
    const auto sliced = [&] {
      if (all != heads) {
        x = e.add("Slice", {x, e.ints({first}), e.ints({first + heads}), e.ints({2})});
      }
      first = 0;
      all = heads;
    };
    if (norm != nullptr) {
      sliced();
      x = e.add("RMSNormalization", {x, norm},
                {{"axis", int64_t{-1}}, {"epsilon", node.float_or("qk_norm_epsilon", 1e-6f)}});
    }
    if (positions == nullptr) {
      sliced();
      return x;
    }
    return e.add_in("quern", 1, "Rotary", {x, positions, in(kCos), in(kSin)},
                    {{"interleaved", node.int_or("rotary_interleaved", 0)},
                     {"starts", int64_t{starts}},
                     {"heads", heads},
                     {"first_head", first},
                     {"rows_first_in", int64_t{1}},
                     {"rows_first_out", int64_t{1}}});
  }
};

Result<bool> expand(Graph& graph, Node& node) {
  QUERN_ASSIGN(const Counts n, counts_of(node));
  QUERN_TRY(refuse(node));
  const Type& query = node.input(kQuery)->type;
  if (!query.shape || query.shape->size() != 3) {
    return unsupported(cat(node.describe(), ": a query of unknown rank"));
  }
  Parts p{.e = Expansion(graph, node, kExpansionOpset), .node = node, .n = n};
  Expansion& e = p.e;
  if (e.wants(3)) return unsupported(cat(node.describe(), ": scores as an output"));
  p.packed = p.in(kKey) == nullptr;
  // How long each cache was: lengths are those after this step, less one. At the first step they
  // may be shorter than the rows, where these are padded.
  const auto i32 = static_cast<int64_t>(DType::kI32);
  Value* rows = e.add("Cast", {e.extent(p.in(kQuery), 1)}, {{"to", i32}});
  Value* lengths = e.add("Reshape", {p.in(kLengths), e.ints({-1})});
  Value* one = e.integer_of(DType::kI32, 1);
  Value* offsets = e.add(
      "Max", {e.add("Sub", {e.add("Add", {lengths, one}), rows}), e.integer_of(DType::kI32, 0)});
  if (node.int_or("do_rotary", 0) != 0) {
    if (p.in(kCos) == nullptr || p.in(kSin) == nullptr) {
      return invalid_model(cat(node.describe(), ": do_rotary without cosines and sines"));
    }
    p.positions = p.in(kPositions) != nullptr ? p.in(kPositions) : offsets;
    p.starts = p.in(kPositions) == nullptr;
  }
  const int64_t all = p.packed ? n.heads + 2 * n.kv_heads : n.heads;
  Value* q4 = split_heads(e, p.in(kQuery), all);
  Value* k4 = p.packed ? q4 : split_heads(e, p.in(kKey), n.kv_heads);
  Value* v4 = p.packed ? q4 : split_heads(e, p.in(kValue), n.kv_heads);
  Heads h;
  h.q = p.prepared(q4, 0, n.heads, p.in(kQueryNorm));
  Value* fresh = p.prepared(k4, p.packed ? n.heads : 0, n.kv_heads, p.in(kKeyNorm));
  h.k = e.add_in("quern", 1, "AppendCache", {p.in(kPastKey), fresh, offsets, p.in(kTotal)});
  h.v = e.add_in(
      "quern", 1, "AppendCache", {p.in(kPastValue), v4, offsets, p.in(kTotal)},
      {{"heads", n.kv_heads}, {"first_head", int64_t{p.packed ? n.heads + n.kv_heads : 0}}});
  if (e.wants(1)) e.replace(1, h.k);
  if (e.wants(2)) e.replace(2, h.v);
  h.rows_first = attention::kQRows;
  h.mask = p.in(kScoreBias);
  h.offsets = offsets;
  h.causal = node.int_or("causal", 1) != 0 ? 1 : 3;
  h.window = std::max<int64_t>(node.int_or("local_window_size", -1), 0);
  h.softcap = node.float_or("softcap", 0);
  h.sink = p.in(kSink);
  if (h.sink == nullptr && node.int_or("smooth_softmax", 0) != 0) {
    // A key of score 0.
    QUERN_ASSIGN(HostTensor zeros, HostTensor::zeros(query.dtype, {n.heads}));
    h.sink = graph.add_constant("", make_constant(std::move(zeros)));
  }
  e.replace(0, add_attention(e, node, h));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_group_query_attention;
const OpDef op_group_query_attention = {
    .name = "GroupQueryAttention",
    .domain = "com.microsoft",
    .min_inputs = 1,
    .max_inputs = 16,
    .max_outputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 1u << kTotal,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
