// QAttention: Attention of com.microsoft with input and weights quantised to 8 bits.
#include "ops/common/microsoft_attention.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"do_rotary", AttributeKind::kInt},
    {"mask_filter_value", AttributeKind::kFloat},
    {"num_heads", AttributeKind::kInt, true},
    {"past_present_share_buffer", AttributeKind::kInt},
    {"rotary_embedding_dim", AttributeKind::kInt},
    {"scale", AttributeKind::kFloat},
    {"unidirectional", AttributeKind::kInt},
};

enum Input : size_t { kX, kWeights, kBias, kXScale, kWScale, kMask, kXZero, kWZero, kPast };

Result<void> infer(InferContext& ctx) {
  QUERN_TRY(ctx.expect_rank(kWeights, 2));
  if (ctx.shape(kWeights) == nullptr) {
    for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, ctx.dtype(kBias), std::nullopt);
    return {};
  }
  return infer_packed_attention(ctx, ctx.dtype(kBias), (*ctx.shape(kWeights))[1], kPast);
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const auto in = [&](size_t i) { return node.input(i); };
  const Type& x = in(kX)->type;
  const Type& weights = in(kWeights)->type;
  if (!x.shape || x.shape->size() != 3 || !weights.shape) {
    return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  }
  PackedProjection p;
  p.qkv =
      e.add_in("com.microsoft", 1, "MatMulIntegerToFloat",
               {in(kX), in(kWeights), in(kXScale), in(kWScale), in(kXZero), in(kWZero), in(kBias)});
  p.qkv->type =
      Type::tensor(in(kBias)->type.dtype, Shape{(*x.shape)[0], (*x.shape)[1], (*weights.shape)[1]});
  p.mask = in(kMask);
  p.past = in(kPast);
  QUERN_TRY(expand_packed_attention(e, node, p));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_q_attention;
const OpDef op_q_attention = {
    .name = "QAttention",
    .domain = "com.microsoft",
    .min_inputs = 5,
    .max_inputs = 9,
    .max_outputs = 2,
    .types = types_of(DType::kI8, DType::kU8),
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
