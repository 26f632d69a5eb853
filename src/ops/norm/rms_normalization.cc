// RMSNormalization: mean square 1 over the axes from `axis` on, scaled.
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
  if (ctx.shape(0) != nullptr) {
    QUERN_TRY(ctx.axis(ctx.node().int_or("axis", -1), ctx.shape(0)->size()));
  }
  ctx.set(0, ctx.dtype(1), ctx.type(0).shape);  // the type is the scale's
  return {};
}

Result<void> lower(LowerContext& ctx) {
  QUERN_ASSIGN(NormRows norm, layer_norm_rows(ctx, true));
  return lower_norm(ctx, norm);
}

}  // namespace

extern const OpDef op_rms_normalization;
const OpDef op_rms_normalization = {
    .name = "RMSNormalization",
    .since = 23,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .lower = lower,
    .expand = expand_broadcast_norm,
    .cpu_kernel = "rms_normalization",
};

}  // namespace quern
