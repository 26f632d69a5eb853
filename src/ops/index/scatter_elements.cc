// ScatterElements: each update goes to the data's element at its index along `axis`, and at its own
// place along the others.
#include "ops/common/scatter.h"
#include "ops/common/types.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt},
                                          {"reduction", AttributeKind::kString}};

}  // namespace

extern const OpDef op_scatter_elements;
const OpDef op_scatter_elements = {
    .name = "ScatterElements",
    .since = 11,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_scatter(c, scatter_elements_shape); },
    .lower = [](LowerContext& ctx) { return lower_scatter(ctx, scatter_elements_shape); },
    .eval = [](EvalContext& c) { return eval_scatter(c, scatter_elements_shape); },
};

}  // namespace quern
