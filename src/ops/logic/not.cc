// Not: the opposite.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_not;
const OpDef op_not = {
    .name = "Not",
    .types = type_bit(DType::kBool),
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_compare(
              c, [](std::span<const Dim> d) -> std::optional<Dim> { return 1 - d[0]; });
        },
    .expr = unary_expr<ExprOp::kNot>,
};

}  // namespace quern
