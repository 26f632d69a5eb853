// Attention of com.microsoft: projections of one input to q, k and v, and attention among them.
#include "ops/common/microsoft_attention.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"do_rotary", AttributeKind::kInt},         {"mask_filter_value", AttributeKind::kFloat},
    {"num_heads", AttributeKind::kInt, true},   {"past_present_share_buffer", AttributeKind::kInt},
    {"qkv_hidden_sizes", AttributeKind::kInts}, {"rotary_embedding_dim", AttributeKind::kInt},
    {"scale", AttributeKind::kFloat},           {"unidirectional", AttributeKind::kInt},
};

enum Input : size_t { kX, kWeights, kBias, kMask, kPast, kScoreBias, kPastLength };

Result<void> infer(InferContext& ctx) {
  QUERN_TRY(ctx.expect_rank(kWeights, 2));
  if (ctx.shape(kWeights) == nullptr) {
    for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, ctx.dtype(kX), std::nullopt);
    return {};
  }
  return infer_packed_attention(ctx, ctx.dtype(kX), (*ctx.shape(kWeights))[1], kPast);
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const Type& x = node.input(kX)->type;
  const Type& weights = node.input(kWeights)->type;
  if (!x.shape || x.shape->size() != 3 || !weights.shape) {
    return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  }
  PackedProjection p;
  p.qkv = e.add("MatMul", {node.input(kX), node.input(kWeights)});
  if (node.input(kBias) != nullptr) p.qkv = e.add("Add", {p.qkv, node.input(kBias)});
  p.qkv->type = Type::tensor(x.dtype, Shape{(*x.shape)[0], (*x.shape)[1], (*weights.shape)[1]});
  p.mask = node.input(kMask);
  p.past = node.input(kPast);
  p.bias = node.input(kScoreBias);
  QUERN_TRY(expand_packed_attention(e, node, p));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_microsoft_attention;
const OpDef op_microsoft_attention = {
    .name = "Attention",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 7,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
