// Attention of ONNX (operator sets 23 to 25): becomes quern.Attention, or simple nodes where the
// scores are an output. Masks by position that the kernel does not know (windows, padded keys,
// causal with a cache of another length) become a tensor.
#include <limits>

#include "ops/common/expansion.h"
#include "ops/common/gemm.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"is_causal", AttributeKind::kInt},
    {"kv_num_heads", AttributeKind::kInt},
    {"left_window_size", AttributeKind::kInt},
    {"q_num_heads", AttributeKind::kInt},
    {"qk_matmul_output_mode", AttributeKind::kInt},
    {"right_window_size", AttributeKind::kInt},
    {"scale", AttributeKind::kFloat},
    {"softcap", AttributeKind::kFloat},
    {"softmax_precision", AttributeKind::kInt},
};

enum Input : size_t { kQ, kK, kV, kMask, kPastKey, kPastValue, kNonpad };

/// Heads of q, k, v: given where the inputs have rank 3.
Result<void> check_heads(const Node& node) {
  const int64_t q = node.int_or("q_num_heads", 0);
  const int64_t kv = node.int_or("kv_num_heads", 0);
  if (q < 1 || kv < 1 || q % kv != 0) {
    return invalid_model(cat(node.describe(), ": q_num_heads ", q, " and kv_num_heads ", kv,
                             " for inputs of rank 3"));
  }
  return {};
}

Result<void> infer(InferContext& ctx) {
  const DType type = ctx.dtype(kQ);
  for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, type, std::nullopt);
  if (ctx.output_count() > 2) ctx.set(2, ctx.dtype(kV), std::nullopt);
  if (ctx.shape(kQ) == nullptr || ctx.shape(kK) == nullptr || ctx.shape(kV) == nullptr) return {};
  Shape q = *ctx.shape(kQ);
  Shape k = *ctx.shape(kK);
  Shape v = *ctx.shape(kV);
  const size_t rank = q.size();
  if ((rank != 3 && rank != 4) || k.size() != rank || v.size() != rank) {
    return ctx.error(cat("q ", q, ", k ", k, " and v ", v, " must all have rank 3 or 4"));
  }
  if (rank == 3) {
    QUERN_TRY(check_heads(ctx.node()));
    const int64_t heads = ctx.node().int_or("q_num_heads", 1);
    const int64_t kv = ctx.node().int_or("kv_num_heads", 1);
    q = {q[0], heads, q[1], floor_div(q[2], heads)};
    k = {k[0], kv, k[1], floor_div(k[2], kv)};
    v = {v[0], kv, v[1], floor_div(v[2], kv)};
  }
  ctx.set(0, type, rank == 4 ? Shape{q[0], q[1], q[2], v[3]} : Shape{q[0], q[2], q[1] * v[3]});
  Dim total = k[2];
  if (ctx.has_input(kPastKey)) {
    const Shape* past = ctx.shape(kPastKey);
    if (past != nullptr && past->size() != 4) return ctx.error(cat("past_key ", *past));
    total = past != nullptr ? (*past)[2] + k[2] : ctx.fresh_dim(1, 2);
  }
  if (ctx.output_count() > 1) ctx.set(1, ctx.dtype(kK), Shape{k[0], k[1], total, k[3]});
  if (ctx.output_count() > 2) ctx.set(2, ctx.dtype(kV), Shape{v[0], v[1], total, v[3]});
  if (ctx.output_count() > 3) ctx.set(3, type, Shape{q[0], q[1], q[2], total});
  return {};
}

/// The state of one expansion.
struct Parts {
  Expansion e;
  Node& node;
  Value *q, *k, *v;  ///< [batch, heads, sequence, size], the cache included
  DType dtype;
  Dim keys;                    ///< with the cache
  Value* attn_mask = nullptr;  ///< input kMask: bool, or of this type

  [[nodiscard]] Value* input(size_t i) const { return node.input(i); }

  /// Which keys a query sees by position: bool [.., queries, keys].
  Value* seen_by_position(bool causal, int64_t left, int64_t right) {
    const auto range = [&](Value* n) {
      return e.add("Range", {e.integer(0), e.add("Squeeze", {n, e.ints({0})}), e.integer(1)});
    };
    Value* key = range(e.extent(k, 2));                                       // [keys]
    Value* query = e.add("Unsqueeze", {range(e.extent(q, 2)), e.ints({1})});  // [queries, 1]
    Value* nonpad = nullptr;
    if (input(kNonpad) != nullptr) {
      nonpad = e.add("Reshape", {input(kNonpad), e.ints({-1, 1, 1, 1})});
    }
    if (input(kPastKey) != nullptr) {
      query = e.add("Add", {query, e.extent(input(kPastKey), 2)});
    } else if (nonpad != nullptr) {
      query = e.add("Add", {query, e.add("Sub", {nonpad, e.extent(q, 2)})});
    }
    Value* seen = nullptr;
    const auto also = [&](Value* condition) {
      seen = seen == nullptr ? condition : e.add("And", {seen, condition});
    };
    if (causal) also(e.add("LessOrEqual", {key, query}));
    if (left >= 0) {
      also(e.add("GreaterOrEqual", {key, e.add("Sub", {query, e.integer(left)})}));
    }
    if (right >= 0) also(e.add("LessOrEqual", {key, e.add("Add", {query, e.integer(right)})}));
    if (nonpad != nullptr) also(e.add("Less", {key, nonpad}));
    return seen;
  }

  /// The mask input, made as long as the keys: what it lacks is not seen.
  Value* padded_mask() {
    Value* mask = attn_mask;
    if (mask == nullptr || !mask->type.shape || mask->type.shape->empty()) return mask;
    if (proven_less(mask->type.shape->back(), keys) != true) return mask;
    const size_t rank = mask->type.shape->size();
    Value* missing = e.add("Sub", {e.extent(k, 2), e.extent(mask, static_cast<int64_t>(rank) - 1)});
    Value* pads = e.add("Concat", {e.ints(std::vector<int64_t>(2 * rank - 1, 0)), missing},
                        {{"axis", int64_t{0}}});
    const bool is_bool = mask->type.dtype == DType::kBool;
    Value* fill =
        e.number(mask->type.dtype, is_bool ? 0.0 : -std::numeric_limits<double>::infinity());
    return e.add("Pad", {mask, pads, fill});
  }

  /// Both masks in one; `seen` (bool) may be null.
  Value* merge(Value* mask, Value* seen) {
    if (seen == nullptr) return mask;
    if (mask == nullptr) return seen;
    if (mask->type.dtype == DType::kBool || attn_mask->type.dtype == DType::kBool) {
      return e.add("And", {mask, seen});
    }
    const DType type = attn_mask->type.dtype;
    Value* hidden = e.number(type, -std::numeric_limits<double>::infinity());
    return e.add("Add", {mask, e.add("Where", {seen, e.number(type, 0), hidden})});
  }

  /// Every step on its own; gives y [batch, heads, queries, size] and sets output 3.
  Value* simple_nodes(Value* mask, bool mask_is_bool, Value* scale, float softcap) {
    const int64_t mode = node.int_or("qk_matmul_output_mode", 0);
    Value* batch_heads = e.add("Shape", {q}, {{"start", int64_t{0}}, {"end", int64_t{3}}});
    // Query heads in groups of one key head: [batch, kv heads, group, queries, size].
    Value* kv = e.extent(k, 1);
    Value* grouped =
        e.add("Concat", {e.extent(q, 0), kv, e.ints({-1}), e.extent(q, 2), e.extent(q, 3)},
              {{"axis", int64_t{0}}});
    Value* keys =
        e.add("Unsqueeze",
              {e.add("Transpose", {k}, {{"perm", std::vector<int64_t>{0, 1, 3, 2}}}), e.ints({2})});
    Value* scores = e.add("MatMul", {e.add("Reshape", {e.add("Mul", {q, scale}), grouped}), keys});
    scores =
        e.add("Reshape",
              {scores, e.add("Concat", {batch_heads, e.extent(k, 2)}, {{"axis", int64_t{0}}})});
    Value* shown = scores;
    if (softcap != 0) {
      Value* cap = e.number(dtype, static_cast<double>(softcap));
      scores = e.add("Mul", {e.add("Tanh", {e.add("Div", {scores, cap})}), cap});
      if (mode == 1) shown = scores;
    }
    if (mask != nullptr) {
      Value* hidden = e.number(dtype, -std::numeric_limits<double>::infinity());
      scores = mask_is_bool ? e.add("Where", {mask, scores, hidden}) : e.add("Add", {scores, mask});
    }
    if (mode == 2) shown = scores;
    Value* weights = e.add("Softmax", {scores}, {{"axis", int64_t{-1}}});
    if (mask != nullptr) {
      // A query that sees no key has no weights.
      const double lowest = dtype == DType::kF16 ? -65504.0 : -3.3e38;
      Value* top = e.add("ReduceMax", {scores, e.ints({-1})});
      weights = e.add("Where",
                      {e.add("Less", {top, e.number(dtype, lowest)}), e.number(dtype, 0), weights});
    }
    if (mode == 3) shown = weights;
    e.replace(3, shown);
    Value* wide =
        e.add("Concat", {e.extent(q, 0), kv, e.ints({-1}), e.extent(q, 2), e.extent(k, 2)},
              {{"axis", int64_t{0}}});
    Value* y =
        e.add("MatMul", {e.add("Reshape", {weights, wide}), e.add("Unsqueeze", {v, e.ints({2})})});
    return e.add("Reshape",
                 {y, e.add("Concat", {batch_heads, e.extent(v, 3)}, {{"axis", int64_t{0}}})});
  }
};

Result<bool> expand(Graph& graph, Node& node) {
  const Type& type = node.input(kQ)->type;
  const Type& key_type = node.input(kK)->type;
  if (!type.shape || (type.shape->size() != 3 && type.shape->size() != 4) || !key_type.shape ||
      key_type.shape->size() != type.shape->size()) {
    return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  }
  const bool flat = type.shape->size() == 3;
  const Dim queries = (*type.shape)[flat ? 1 : 2];
  const Dim new_keys = (*key_type.shape)[flat ? 1 : 2];
  Parts p{Expansion(graph, node), node,       node.input(kQ), node.input(kK),
          node.input(kV),         type.dtype, new_keys};
  Expansion& e = p.e;
  p.attn_mask = node.input(kMask);
  if (p.attn_mask != nullptr && p.attn_mask->type.dtype != DType::kBool &&
      p.attn_mask->type.dtype != p.dtype) {
    const Type given = p.attn_mask->type;
    p.attn_mask = e.add("Cast", {p.attn_mask}, {{"to", static_cast<int64_t>(p.dtype)}});
    p.attn_mask->type = given;
    p.attn_mask->type.dtype = p.dtype;
  }
  if (flat) {
    QUERN_TRY(check_heads(node));
    const std::vector<int64_t> perm = {0, 2, 1, 3};
    const auto split = [&](Value* x, int64_t heads) {
      return e.add("Transpose", {e.add("Reshape", {x, e.ints({0, 0, heads, -1})})},
                   {{"perm", perm}});
    };
    p.q = split(p.q, node.int_or("q_num_heads", 1));
    p.k = split(p.k, node.int_or("kv_num_heads", 1));
    p.v = split(p.v, node.int_or("kv_num_heads", 1));
  }
  if (Value* past = node.input(kPastKey)) {
    p.k = e.add("Concat", {past, p.k}, {{"axis", int64_t{2}}});
    if (past->type.shape && past->type.shape->size() == 4) {
      p.keys = (*past->type.shape)[2] + new_keys;
    }
  }
  if (Value* past = node.input(kPastValue)) {
    p.v = e.add("Concat", {past, p.v}, {{"axis", int64_t{2}}});
  }
  if (e.wants(1)) e.replace(1, p.k == node.input(kK) ? e.add("Identity", {p.k}) : p.k);
  if (e.wants(2)) e.replace(2, p.v == node.input(kV) ? e.add("Identity", {p.v}) : p.v);

  if (const DType values = node.input(kV)->type.dtype;
      values != p.dtype && (values == DType::kF64 || p.dtype == DType::kF64)) {
    p.v = e.add("Cast", {p.v}, {{"to", static_cast<int64_t>(p.dtype)}});
  }
  const bool causal = node.int_or("is_causal", 0) != 0;
  const int64_t left = node.int_or("left_window_size", -1);
  const int64_t right = node.int_or("right_window_size", -1);
  const bool cached = node.input(kPastKey) != nullptr;
  const bool scores = e.wants(3);
  // The kernel knows two causal masks: from the first key, and up to the last one.
  const bool by_position = left >= 0 || right >= 0 || node.input(kNonpad) != nullptr ||
                           (causal && scores) ||
                           (causal && cached && proven_equal(queries, new_keys) != true);
  Value* seen = by_position ? p.seen_by_position(causal, left, right) : nullptr;
  Value* mask = p.merge(p.padded_mask(), seen);
  const bool mask_is_bool = p.attn_mask == nullptr || p.attn_mask->type.dtype == DType::kBool;
  const float softcap = node.float_or("softcap", 0.0f);
  const bool has_scale = node.attribute("scale") != nullptr;
  Value* y = nullptr;
  if (scores) {
    Value* scale = nullptr;
    if (has_scale) {
      scale = e.number(p.dtype, node.float_or("scale", 1.0f));
    } else {
      Value* extent = e.add("Cast", {e.extent(p.q, 3)}, {{"to", static_cast<int64_t>(p.dtype)}});
      scale = e.add("Reciprocal", {e.add("Sqrt", {extent})});
    }
    y = p.simple_nodes(mask, mask_is_bool, scale, softcap);
  } else {
    std::vector<Value*> inputs = {p.q, p.k, p.v};
    if (mask != nullptr) inputs.push_back(mask);
    y = e.add_in("quern", 1, "Attention", std::move(inputs),
                 {{"softcap", softcap},
                  {"nan_to_zero", int64_t{1}},
                  {"is_causal", int64_t{causal && !by_position ? (cached ? 2 : 1) : 0}}});
    if (has_scale) y->producer->attributes["scale"] = node.float_or("scale", 1.0f);
  }
  if (flat) {
    y = e.add("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    y = e.add("Reshape", {y, e.ints({0, 0, -1})});
  }
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_attention;
const OpDef op_attention = {
    .name = "Attention",
    .since = 23,
    .min_inputs = 3,
    .max_inputs = 7,
    .max_outputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
