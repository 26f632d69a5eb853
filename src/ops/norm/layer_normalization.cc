// LayerNormalization: mean 0 and variance 1 over the axes from `axis` on, scaled and shifted.
#include "ops/common/norm_rows.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"axis", AttributeKind::kInt},
    {"epsilon", AttributeKind::kFloat},
    {"stash_type", AttributeKind::kInt},
};

Result<void> infer(InferContext& ctx) {
  ctx.set(0, ctx.type(0));
  const Shape* x = ctx.shape(0);
  std::optional<Shape> stats;
  if (x != nullptr) {
    QUERN_ASSIGN(const size_t axis, ctx.axis(ctx.node().int_or("axis", -1), x->size()));
    stats = *x;
    for (size_t i = axis; i < stats->size(); ++i) (*stats)[i] = 1;
  }
  for (size_t i = 1; i < ctx.output_count(); ++i) ctx.set(i, DType::kF32, stats);
  return {};
}

Result<void> lower(LowerContext& ctx) {
  QUERN_ASSIGN(NormRows norm, layer_norm_rows(ctx, false));
  return lower_norm(ctx, norm);
}

}  // namespace

extern const OpDef op_layer_normalization;
const OpDef op_layer_normalization = {
    .name = "LayerNormalization",
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .lower = lower,
    .expand = expand_broadcast_norm,
    .cpu_kernel = "layer_normalization",
};

}  // namespace quern
