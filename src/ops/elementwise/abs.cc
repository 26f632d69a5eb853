// Abs: the magnitude.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_abs;
const OpDef op_abs = {
    .name = "Abs",
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_same(
              c, [](std::span<const Dim> d) -> std::optional<Dim> { return max(d[0], 0 - d[0]); });
        },
    .expr = unary_expr<ExprOp::kAbs>,
};

}  // namespace quern
