// Neg: the negative.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_neg;
const OpDef op_neg = {
    .name = "Neg",
    .types = kFloats | types_of(DType::kI8, DType::kI16, DType::kI32, DType::kI64),
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_same(c,
                            [](std::span<const Dim> d) -> std::optional<Dim> { return 0 - d[0]; });
        },
    .expr = unary_expr<ExprOp::kNeg>,
};

}  // namespace quern
