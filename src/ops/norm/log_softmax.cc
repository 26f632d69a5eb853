// LogSoftmax: the logarithm of softmax along an axis; before version 13 over all axes from it on.
#include "ops/common/norm_rows.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt}};

}  // namespace

extern const OpDef op_log_softmax;
const OpDef op_log_softmax = {
    .name = "LogSoftmax",
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer_softmax,
    .lower = [](LowerContext& ctx) { return lower_softmax(ctx, true); },
    .cpu_kernel = "log_softmax",
};

}  // namespace quern
