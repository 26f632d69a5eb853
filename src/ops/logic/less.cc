// Less: is the first smaller?
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_less;
const OpDef op_less = {
    .name = "Less",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_compare(c, [](std::span<const Dim> d) { return proven_below(d[0], d[1]); });
        },
    .expr = binary_expr<ExprOp::kLt>,
};

}  // namespace quern
