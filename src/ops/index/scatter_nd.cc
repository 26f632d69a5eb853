// ScatterND: the last axis of the indices holds indices into the data's first axes, where the
// update's slice goes.
#include "ops/common/scatter.h"
#include "ops/common/types.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"reduction", AttributeKind::kString}};

}  // namespace

extern const OpDef op_scatter_nd;
const OpDef op_scatter_nd = {
    .name = "ScatterND",
    .since = 11,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_scatter(c, scatter_nd_shape); },
    .lower = [](LowerContext& ctx) { return lower_scatter(ctx, scatter_nd_shape); },
    .eval = [](EvalContext& c) { return eval_scatter(c, scatter_nd_shape); },
};

}  // namespace quern
