// Min: the smallest of any number of inputs; NaN if one is.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/variadic.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_min;
const OpDef op_min = {
    .name = "Min",
    .max_inputs = kVariadic,
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_broadcast(c, [](std::span<const Dim> d) -> std::optional<Dim> {
            Dim least = d[0];
            for (const Dim& x : d) least = min(least, x);
            return least;
          });
        },
    .expr = variadic_expr<ExprOp::kMin>,
    .expand = expand_into_tree,
};

}  // namespace quern
