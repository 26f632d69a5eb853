// InstanceNormalization: mean 0 and variance 1 over the spatial axes, scale and shift a channel.
#include "ops/common/norm_rows.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"epsilon", AttributeKind::kFloat}};

Result<void> infer(InferContext& ctx) {
  if (ctx.shape(0) != nullptr && ctx.shape(0)->size() < 2) {
    return ctx.error(cat("input ", *ctx.shape(0), " has no channel axis"));
  }
  ctx.set(0, ctx.type(0));
  return {};
}

Result<void> lower(LowerContext& ctx) {
  QUERN_ASSIGN(NormRows norm, instance_norm_rows(ctx));
  return lower_norm(ctx, norm);
}

}  // namespace

extern const OpDef op_instance_normalization;
const OpDef op_instance_normalization = {
    .name = "InstanceNormalization",
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .lower = lower,
    .cpu_kernel = "instance_normalization",
};

}  // namespace quern
