// Or: at least one.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_or;
const OpDef op_or = {
    .name = "Or",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = type_bit(DType::kBool),
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_compare(
              c, [](std::span<const Dim> d) -> std::optional<Dim> { return max(d[0], d[1]); });
        },
    .expr = binary_expr<ExprOp::kOr>,
};

}  // namespace quern
