// MultiHeadAttention: attention of queries to keys and values that are projected already, given
// apart or packed, with a cache of earlier ones.
#include <cmath>

#include "ops/common/microsoft_attention.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"mask_filter_value", AttributeKind::kFloat},
    {"num_heads", AttributeKind::kInt, true},
    {"scale", AttributeKind::kFloat},
    {"unidirectional", AttributeKind::kInt},
};

enum Input : size_t {
  kQuery,
  kKey,
  kValue,
  kBias,
  kMask,
  kScoreBias,
  kPastKey,
  kPastValue,
  kPastLength,
  kIndirection
};

/// How the operands are given.
enum class Form : uint8_t { kPacked, kPackedKeys, kApart, kHeadsFirst };

Result<Form> form_of(const Node& node, size_t query_rank, size_t key_rank, bool has_value) {
  if (query_rank == 5 && key_rank == 0) return Form::kPacked;
  if (query_rank == 3 && key_rank == 5 && !has_value) return Form::kPackedKeys;
  if (query_rank == 3 && key_rank == 3 && has_value) return Form::kApart;
  if (query_rank == 3 && key_rank == 4 && has_value) return Form::kHeadsFirst;
  return invalid_model(
      cat(node.describe(), ": query of rank ", query_rank, " and key of rank ", key_rank));
}

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(const int64_t heads, head_count(ctx.node()));
  for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, ctx.dtype(kQuery), std::nullopt);
  const Shape* q = ctx.shape(kQuery);
  const Shape* k = ctx.has_input(kKey) ? ctx.shape(kKey) : nullptr;
  const Shape* v = ctx.has_input(kValue) ? ctx.shape(kValue) : nullptr;
  if (q == nullptr || (ctx.has_input(kKey) && k == nullptr) ||
      (ctx.has_input(kValue) && v == nullptr)) {
    return {};
  }
  QUERN_ASSIGN(const Form form,
               form_of(ctx.node(), q->size(), k != nullptr ? k->size() : 0, ctx.has_input(kValue)));
  Dim keys = (*q)[1];
  Dim size = form == Form::kPacked ? (*q)[4] : floor_div((*q)[2], heads);
  Dim size_v = size;
  if (form == Form::kPackedKeys) keys = (*k)[1];
  if (form == Form::kApart) {
    keys = (*k)[1];
    if (v->size() != 3) return ctx.error(cat("value ", *v));
    size_v = floor_div((*v)[2], heads);
  } else if (form == Form::kHeadsFirst) {
    keys = (*k)[2];
    if (v->size() != 4) return ctx.error(cat("value ", *v));
    size_v = (*v)[3];
  }
  if (ctx.has_input(kPastKey)) {
    QUERN_TRY(ctx.expect_rank(kPastKey, 4));
    const Shape* past = ctx.shape(kPastKey);
    keys = past != nullptr ? keys + (*past)[2] : ctx.fresh_dim(0, 1);
  }
  const DType type = ctx.dtype(kQuery);
  ctx.set(0, type, Shape{(*q)[0], (*q)[1], size_v * heads});
  if (ctx.output_count() > 1) ctx.set(1, type, Shape{(*q)[0], heads, keys, size});
  if (ctx.output_count() > 2) ctx.set(2, type, Shape{(*q)[0], heads, keys, size_v});
  if (ctx.output_count() > 3) ctx.set(3, type, Shape{(*q)[0], heads, (*q)[1], keys});
  return {};
}

/// Adds each operand's part of the bias.
Result<void> add_biases(Expansion& e, const Node& node, Form form, Value* operands[3]) {
  Value* bias = node.input(kBias);
  if (bias == nullptr) return {};
  if (form == Form::kPacked || form == Form::kPackedKeys) {
    // Heads of packed operands alternate between q, k and v, or k and v.
    const int64_t many = form == Form::kPacked ? 3 : 2;
    const int64_t heads = node.int_or("num_heads", 1);
    Value* parts = e.add("Reshape", {bias, e.ints({3, heads, -1})});
    Value* packed = parts;
    if (many == 2) {
      packed = e.add("Slice", {parts, e.ints({1}), e.ints({3}), e.ints({0})});
      Value* of_q = e.add("Gather", {parts, e.integer(0)}, {{"axis", int64_t{0}}});
      operands[0] = e.add("Add", {operands[0], e.add("Reshape", {of_q, e.ints({-1})})});
      operands[0]->type = node.input(kQuery)->type;
    }
    packed = e.add("Transpose", {packed}, {{"perm", std::vector<int64_t>{1, 0, 2}}});
    Value*& rows = operands[many == 3 ? 0 : 1];
    const Type type = rows->type;
    rows = e.add("Add", {rows, packed});
    rows->type = type;
    return {};
  }
  int64_t at = 0;
  for (size_t i = 0; i < 3; ++i) {
    // Keys and values in heads are another operator's, and complete.
    const Type& type = node.input(form == Form::kHeadsFirst ? kQuery : i)->type;
    const Dim& size = type.shape->back();
    if (!size.is_const()) return unsupported(cat(node.describe(), ": operands of unknown size"));
    if (i == 0 || form == Form::kApart) {
      Value* part = e.add("Slice", {bias, e.ints({at}), e.ints({at + size.value()}), e.ints({0})});
      operands[i] = e.add("Add", {operands[i], part});
    }
    at += size.value();
  }
  return {};
}

/// q k^T * scale + mask, for q [batch, rows, heads, size] and k [batch, heads, keys, size].
Result<Value*> scores(Expansion& e, const Node& node, const Heads& h, const Dim& head_size) {
  float scale = node.float_or("scale", 0);
  if (h.causal != 0) {
    return unsupported(cat(node.describe(), ": scores as an output where unidirectional is 1"));
  }
  if (scale == 0 && !head_size.is_const()) return unsupported(cat(node.describe(), ": head size"));
  if (scale == 0) scale = 1.0f / std::sqrt(static_cast<float>(head_size.value()));
  const auto turned = [&](Value* v, std::vector<int64_t> perm) {
    return e.add("Transpose", {v}, {{"perm", std::move(perm)}});
  };
  Value* s = e.add("MatMul", {turned(h.q, {0, 2, 1, 3}), turned(h.k, {0, 1, 3, 2})});
  s = e.add("Mul", {s, e.number(node.input(kQuery)->type.dtype, scale)});
  return h.mask == nullptr ? s : e.add("Add", {s, h.mask});
}

Result<bool> expand(Graph& graph, Node& node) {
  QUERN_ASSIGN(const int64_t heads, head_count(node));
  for (size_t i : {size_t{kQuery}, size_t{kKey}, size_t{kValue}}) {
    if (node.input(i) != nullptr && !node.input(i)->type.shape) {
      return unsupported(cat(node.describe(), ": inputs of unknown rank"));
    }
  }
  if (node.input(kPastLength) != nullptr || node.input(kIndirection) != nullptr) {
    return unsupported(cat(node.describe(),
                           ": past_sequence_length and cache_indirection, of a cache in a shared "
                           "buffer, are not expected"));
  }
  Expansion e(graph, node, kExpansionOpset);
  Value* operands[3] = {node.input(kQuery), node.input(kKey), node.input(kValue)};
  const Shape& query = *operands[0]->type.shape;
  QUERN_ASSIGN(
      const Form form,
      form_of(node, query.size(), operands[1] != nullptr ? operands[1]->type.shape->size() : 0,
              operands[2] != nullptr));
  QUERN_TRY(add_biases(e, node, form, operands));
  Heads h;
  h.rows_first = attention::kQRows | attention::kKRows | attention::kVRows;
  h.heads = h.kv_heads = heads;
  int64_t in_keys = heads;  // heads of the tensor with the keys
  Value* keys = nullptr;    // their number
  const auto size = [&](const Value* v) { return v->type.shape->back(); };
  switch (form) {
    case Form::kPacked: {
      if (!size(operands[0]).is_const()) return unsupported(cat(node.describe(), ": head size"));
      Value* all = e.add("Reshape", {operands[0], e.ints({0, 0, heads * 3, -1})});
      h.q = h.k = h.v = all;
      h.starts = {0, 1, 2};
      h.steps = {3, 3, 3};
      in_keys = 3 * heads;
      keys = e.extent(operands[0], 1);
      break;
    }
    case Form::kPackedKeys:
      h.q = split_heads(e, operands[0], heads);
      h.k = h.v = e.add("Reshape", {operands[1], e.ints({0, 0, heads * 2, -1})});
      h.starts = {0, 0, 1};
      h.steps = {1, 2, 2};
      in_keys = 2 * heads;
      keys = e.extent(operands[1], 1);
      break;
    case Form::kApart:
      h.q = split_heads(e, operands[0], heads);
      h.k = split_heads(e, operands[1], heads);
      h.v = split_heads(e, operands[2], heads);
      keys = e.extent(operands[1], 1);
      break;
    case Form::kHeadsFirst:
      h.q = split_heads(e, operands[0], heads);
      h.k = operands[1];
      h.v = operands[2];
      h.rows_first = attention::kQRows;
      keys = e.extent(operands[1], 2);
      break;
  }
  Value* past = node.input(kPastKey);
  if (past != nullptr || e.wants(1) || e.wants(2) || e.wants(3)) {
    Value* kv[2] = {h.k, h.v};
    for (size_t i = 0; i < 2; ++i) {
      if ((h.rows_first & attention::kKRows) != 0) {
        if (in_keys != heads) {
          // Every step-th head.
          kv[i] = e.add("Slice", {kv[i], e.ints({h.starts[i + 1]}), e.ints({in_keys}), e.ints({2}),
                                  e.ints({h.steps[i + 1]})});
        }
        kv[i] = heads_first(e, kv[i], 0, heads, heads);
      }
      Value* old = node.input(kPastKey + i);
      if (old != nullptr) kv[i] = e.add("Concat", {old, kv[i]}, {{"axis", int64_t{2}}});
      if (e.wants(1 + i)) {
        e.replace(1 + i, kv[i]->producer == nullptr ? e.add("Identity", {kv[i]}) : kv[i]);
      }
    }
    h.k = kv[0];
    h.v = kv[1];
    if (past != nullptr) keys = e.add("Add", {keys, e.extent(past, 2)});
    if (!h.starts.empty()) {
      if (form == Form::kPacked) {
        h.q = e.add("Slice", {h.q, e.ints({0}), e.ints({in_keys}), e.ints({2}), e.ints({3})});
      }
      h.starts.clear();
    }
    h.rows_first = attention::kQRows;
  }
  const DType type = node.input(kQuery)->type.dtype;
  if (node.input(kMask) != nullptr) {
    Value* past_rows = past != nullptr ? e.extent(past, 2) : nullptr;
    QUERN_ASSIGN(h.mask, add_padding_mask(e, node, node.input(kMask), query[0],
                                          e.extent(node.input(kQuery), 1), keys, past_rows, type));
  }
  if (Value* bias = node.input(kScoreBias)) {
    h.mask = h.mask == nullptr ? bias : e.add("Add", {h.mask, bias});
  }
  if (node.int_or("unidirectional", 0) != 0) h.causal = 2;
  if (e.wants(3)) {
    const Dim& last = query.back();
    QUERN_ASSIGN(Value * s,
                 scores(e, node, h, form == Form::kPacked ? last : floor_div(last, heads)));
    e.replace(3, s);
  }
  e.replace(0, add_attention(e, node, h));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_multi_head_attention;
const OpDef op_multi_head_attention = {
    .name = "MultiHeadAttention",
    .domain = "com.microsoft",
    .min_inputs = 1,
    .max_inputs = 10,
    .max_outputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
