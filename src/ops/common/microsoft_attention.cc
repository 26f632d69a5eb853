#include "ops/common/microsoft_attention.h"

namespace quern {
namespace {

/// Sizes of q, k and v of a packed projection.
Result<std::vector<int64_t>> projection_sizes(const Node& node, const Dim& columns) {
  const std::vector<int64_t>* given = node.ints("qkv_hidden_sizes");
  if (given != nullptr && !given->empty()) {
    const bool ok = given->size() == 3 && (*given)[0] > 0 && (*given)[0] == (*given)[1] &&
                    (*given)[2] > 0 &&
                    proven_equal(columns, (*given)[0] + (*given)[1] + (*given)[2]) != false;
    if (!ok) return invalid_model(cat(node.describe(), ": qkv_hidden_sizes"));
    return *given;
  }
  if (!columns.is_const() || columns.value() % 3 != 0) {
    return invalid_model(cat(node.describe(), ": a projection to ", columns));
  }
  return std::vector<int64_t>(3, columns.value() / 3);
}

}  // namespace

Result<int64_t> head_count(const Node& node, std::string_view attribute) {
  const int64_t heads = node.int_or(attribute, 0);
  if (heads < 1 || heads > 65536) {
    return invalid_model(cat(node.describe(), ": ", attribute, " is ", heads));
  }
  return heads;
}

Value* split_heads(Expansion& e, Value* x, int64_t heads) {
  return e.add("Reshape", {x, e.ints({0, 0, heads, -1})});
}

Value* heads_first(Expansion& e, Value* x, int64_t start, int64_t heads, int64_t all) {
  if (heads != all) {
    x = e.add("Slice", {x, e.ints({start}), e.ints({start + heads}), e.ints({2})});
  }
  return e.add("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
}

Value* add_attention(Expansion& e, const Node& node, const Heads& h) {
  std::vector<Value*> inputs = {h.q, h.k, h.v, h.mask, h.offsets, h.sink};
  while (inputs.back() == nullptr) inputs.pop_back();
  Value* y = e.add_in("quern", 1, "Attention", std::move(inputs),
                      {{"softcap", h.softcap},
                       {"nan_to_zero", int64_t{1}},
                       {"is_causal", h.causal},
                       {"window", h.window},
                       {"rows_first", h.rows_first | attention::kYRows}});
  auto& attributes = y->producer->attributes;
  if (const float scale = node.float_or("scale", 0); scale != 0) attributes["scale"] = scale;
  if (!h.starts.empty()) {
    attributes["heads"] = h.heads;
    attributes["kv_heads"] = h.kv_heads;
    attributes["head_starts"] = h.starts;
    if (!h.steps.empty()) attributes["head_steps"] = h.steps;
  }
  return e.add("Reshape", {y, e.ints({0, 0, -1})});
}

Result<Value*> add_padding_mask(Expansion& e, const Node& node, Value* mask, const Dim& batch,
                                Value* queries, Value* keys, Value* past, DType type) {
  if (!mask->type.shape) return unsupported(cat(node.describe(), ": a mask of unknown rank"));
  const Shape& shape = *mask->type.shape;
  Value* zero = e.integer_of(mask->type.dtype, 0);
  Value* seen = nullptr;
  std::vector<int64_t> axes;
  if (shape.size() == 1) {
    Value* key = e.add("Range", {zero,
                                 e.add("Cast", {e.add("Squeeze", {keys, e.ints({0})})},
                                       {{"to", static_cast<int64_t>(mask->type.dtype)}}),
                                 e.integer_of(mask->type.dtype, 1)});
    const auto column = [&](Value* v) { return e.add("Reshape", {v, e.ints({-1, 1})}); };
    if (proven_equal(shape[0], batch * 3 + 2) == true && proven_equal(shape[0], batch) != true) {
      // The lengths of the keys, and then where each row's queries and keys begin and end.
      Value* rows = e.extent(node.input(0), 0);
      seen = e.add("Less", {key, column(e.add("Slice", {mask, e.ints({0}), rows, e.ints({0})}))});
    } else if (proven_equal(shape[0], batch * 2) == true && proven_equal(shape[0], batch) != true) {
      const std::vector<Value*> halves =
          e.add_many("Split", {mask}, 2, {{"axis", int64_t{0}}, {"num_outputs", int64_t{2}}});
      seen = e.add("And", {e.add("Less", {key, column(halves[0])}),
                           e.add("GreaterOrEqual", {key, column(halves[1])})});
    } else {
      seen = e.add("Less", {key, column(mask)});
    }
    axes = {1, 2};
  } else if (shape.size() <= 4) {
    if (shape.size() == 4) {
      Value* first = past != nullptr ? past : e.ints({0});
      const auto both = [&](Value* a, Value* b) {
        return e.add("Concat", {a, b}, {{"axis", int64_t{0}}});
      };
      mask = e.add("Slice", {mask, both(first, e.ints({0})),
                             both(e.add("Add", {first, queries}), keys), e.ints({2, 3})});
    }
    seen = e.add("Greater", {mask, zero});
    if (shape.size() == 2) axes = {1, 2};
    if (shape.size() == 3) axes = {1};
  } else {
    return invalid_model(cat(node.describe(), ": a mask ", shape));
  }
  const double hidden = node.float_or("mask_filter_value", -10000.0f);
  Value* added = e.add("Where", {seen, e.number(type, 0), e.number(type, hidden)});
  return axes.empty() ? added : e.add("Unsqueeze", {added, e.ints(axes)});
}

Result<void> infer_packed_attention(InferContext& ctx, DType type, const Dim& columns,
                                    size_t past_input) {
  QUERN_ASSIGN(const int64_t heads, head_count(ctx.node()));
  for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, type, std::nullopt);
  const Shape* x = ctx.shape(0);
  if (x == nullptr) return {};
  QUERN_TRY(ctx.expect_rank(0, 3));
  QUERN_ASSIGN(const std::vector<int64_t> sizes, projection_sizes(ctx.node(), columns));
  ctx.set(0, type, Shape{(*x)[0], (*x)[1], sizes[2]});
  if (ctx.output_count() < 2) return {};
  Dim keys = (*x)[1];
  if (ctx.has_input(past_input)) {
    QUERN_TRY(ctx.expect_rank(past_input, 5));
    if (ctx.shape(past_input) == nullptr) return {};
    keys = keys + (*ctx.shape(past_input))[3];
  }
  ctx.set(1, type, Shape{2, (*x)[0], heads, keys, sizes[1] / heads});
  return {};
}

Result<void> expand_packed_attention(Expansion& e, Node& node, const PackedProjection& p) {
  QUERN_ASSIGN(const int64_t heads, head_count(node));
  const Type& type = node.outputs[0]->type;
  const Type& x = node.input(0)->type;
  if (!x.shape || !type.shape) {
    return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  }
  for (const char* name : {"do_rotary", "past_present_share_buffer"}) {
    if (node.int_or(name, 0) != 0) {
      return unsupported(
          cat(node.describe(), ": ", name, " is ", node.int_or(name, 0), ", expected 0"));
    }
  }
  const Shape* columns = p.qkv->type.shape ? &*p.qkv->type.shape : nullptr;
  if (columns == nullptr) return internal_error("a projection without shape");
  QUERN_ASSIGN(const std::vector<int64_t> sizes, projection_sizes(node, columns->back()));
  const Dim batch = (*x.shape)[0];
  Heads h;
  h.rows_first = attention::kQRows | attention::kKRows | attention::kVRows;
  const bool even = sizes[0] == sizes[2];
  Value* all = nullptr;
  if (even) {
    all = split_heads(e, p.qkv, 3 * heads);
    h.q = h.k = h.v = all;
    h.heads = h.kv_heads = heads;
    h.starts = {0, heads, 2 * heads};
  } else {
    Value* parts[3];
    int64_t at = 0;
    for (size_t i = 0; i < 3; ++i) {
      parts[i] = split_heads(
          e, e.add("Slice", {p.qkv, e.ints({at}), e.ints({at + sizes[i]}), e.ints({2})}), heads);
      at += sizes[i];
    }
    h.q = parts[0];
    h.k = parts[1];
    h.v = parts[2];
  }
  Value* rows = e.extent(node.input(0), 1);
  Value* keys = rows;
  Value* past_rows = nullptr;
  if (p.past != nullptr || e.wants(1)) {
    // Keys and values as one tensor of their own.
    Value* k =
        even ? heads_first(e, all, heads, heads, 3 * heads) : heads_first(e, h.k, 0, heads, heads);
    Value* v = even ? heads_first(e, all, 2 * heads, heads, 3 * heads)
                    : heads_first(e, h.v, 0, heads, heads);
    if (p.past != nullptr) {
      past_rows = e.extent(p.past, 3);
      keys = e.add("Add", {rows, past_rows});
      const auto appended = [&](int64_t which, Value* fresh) {
        Value* old = e.add("Gather", {p.past, e.integer(which)}, {{"axis", int64_t{0}}});
        return e.add("Concat", {old, fresh}, {{"axis", int64_t{2}}});
      };
      k = appended(0, k);
      v = appended(1, v);
    }
    if (e.wants(1)) {
      const auto first = [&](Value* t) { return e.add("Unsqueeze", {t, e.ints({0})}); };
      e.replace(1, e.add("Concat", {first(k), first(v)}, {{"axis", int64_t{0}}}));
    }
    h.k = k;
    h.v = v;
    h.rows_first = attention::kQRows;
    if (even) {
      h.q = e.add("Slice", {all, e.ints({0}), e.ints({heads}), e.ints({2})});
      h.starts.clear();
    }
  }
  if (p.mask != nullptr) {
    QUERN_ASSIGN(h.mask,
                 add_padding_mask(e, node, p.mask, batch, rows, keys, past_rows, type.dtype));
  }
  if (p.bias != nullptr) h.mask = h.mask == nullptr ? p.bias : e.add("Add", {h.mask, p.bias});
  if (node.int_or("unidirectional", 0) != 0) h.causal = 2;
  e.replace(0, add_attention(e, node, h));
  return {};
}

}  // namespace quern
