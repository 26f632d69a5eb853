// Greater: is the first larger?
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_greater;
const OpDef op_greater = {
    .name = "Greater",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_compare(c, [](std::span<const Dim> d) { return proven_below(d[1], d[0]); });
        },
    .expr = binary_expr<ExprOp::kGt>,
};

}  // namespace quern
