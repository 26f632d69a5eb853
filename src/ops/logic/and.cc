// And: both.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_and;
const OpDef op_and = {
    .name = "And",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = type_bit(DType::kBool),
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_compare(
              c, [](std::span<const Dim> d) -> std::optional<Dim> { return min(d[0], d[1]); });
        },
    .expr = binary_expr<ExprOp::kAnd>,
};

}  // namespace quern
