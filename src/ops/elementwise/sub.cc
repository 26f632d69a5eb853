// Sub: a - b.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_sub;
const OpDef op_sub = {
    .name = "Sub",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_broadcast(
              c, [](std::span<const Dim> d) -> std::optional<Dim> { return d[0] - d[1]; });
        },
    .expr = binary_expr<ExprOp::kSub>,
};

}  // namespace quern
