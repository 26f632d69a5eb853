// Sign: -1, 0 or 1.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_sign;
const OpDef op_sign = {
    .name = "Sign",
    .since = 9,
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_same(c, [](std::span<const Dim> d) -> std::optional<Dim> {
            return max(min(d[0], 1), -1);
          });
        },
    .expr = unary_expr<ExprOp::kSign>,
};

}  // namespace quern
