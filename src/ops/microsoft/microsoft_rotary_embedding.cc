// RotaryEmbedding of com.microsoft: turns pairs of elements of each head by angles that grow with
// the position. ONNX Runtime lets the attribute `scale` be, and so do we.
#include "ops/common/microsoft_attention.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"interleaved", AttributeKind::kInt}, {"is_packed_batching", AttributeKind::kInt},
    {"num_heads", AttributeKind::kInt},   {"rotary_embedding_dim", AttributeKind::kInt},
    {"scale", AttributeKind::kFloat},
};

enum Input : size_t { kX, kPositions, kCos, kSin };

Result<void> infer(InferContext& ctx) {
  const Shape* x = ctx.shape(kX);
  if (x != nullptr && x->size() != 3 && x->size() != 4) {
    return ctx.error(cat("input ", *x, " has not rank 3 or 4"));
  }
  ctx.set(0, ctx.type(kX));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  const Type& x = node.input(kX)->type;
  const Type& positions = node.input(kPositions)->type;
  const Type& cos = node.input(kCos)->type;
  if (!x.shape || !positions.shape || !cos.shape || cos.shape->size() != 2) {
    return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  }
  Expansion e(graph, node, kExpansionOpset);
  const bool flat = x.shape->size() == 3;
  Value* heads = node.input(kX);
  if (flat) {
    int64_t count = node.int_or("num_heads", 0);
    if (count == 0) {
      // Heads are as long as the rotation.
      const Dim& size = (*cos.shape)[1];
      const Dim& all = (*x.shape)[2];
      if (!size.is_const() || !all.is_const() || size.value() == 0) {
        return unsupported(cat(node.describe(), ": an unknown number of heads"));
      }
      count = all.value() / (2 * size.value());
    }
    if (count < 1) return invalid_model(cat(node.describe(), ": num_heads is ", count));
    heads = split_heads(e, heads, count);
  }
  Value* y = e.add_in("quern", 1, "Rotary",
                      {heads, node.input(kPositions), node.input(kCos), node.input(kSin)},
                      {{"interleaved", node.int_or("interleaved", 0)},
                       {"starts", int64_t{positions.shape->size() == 1}},
                       {"rows_first_in", int64_t{flat}},
                       {"rows_first_out", int64_t{flat}}});
  if (flat) y = e.add("Reshape", {y, e.ints({0, 0, -1})});
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_microsoft_rotary_embedding;
const OpDef op_microsoft_rotary_embedding = {
    .name = "RotaryEmbedding",
    .domain = "com.microsoft",
    .min_inputs = 4,
    .max_inputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
