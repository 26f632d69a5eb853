// LessOrEqual: is the first not larger?
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_less_or_equal;
const OpDef op_less_or_equal = {
    .name = "LessOrEqual",
    .since = 12,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_compare(c,
                               [](std::span<const Dim> d) { return proven_below(d[0], d[1] + 1); });
        },
    .expr = binary_expr<ExprOp::kLe>,
};

}  // namespace quern
