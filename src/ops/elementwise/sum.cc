// Sum: of any number of inputs.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/variadic.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_sum;
const OpDef op_sum = {
    .name = "Sum",
    .max_inputs = kVariadic,
    .types = kFloats,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c); },
    .expr = variadic_expr<ExprOp::kAdd>,
    .expand = expand_into_tree,
};

}  // namespace quern
