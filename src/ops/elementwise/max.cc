// Max: the largest of any number of inputs; NaN if one is.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/variadic.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_max;
const OpDef op_max = {
    .name = "Max",
    .max_inputs = kVariadic,
    .types = kNumeric,
    .is_elementwise = true,
    .infer =
        [](InferContext& c) {
          return infer_broadcast(c, [](std::span<const Dim> d) -> std::optional<Dim> {
            Dim most = d[0];
            for (const Dim& x : d) most = max(most, x);
            return most;
          });
        },
    .expr = variadic_expr<ExprOp::kMax>,
    .expand = expand_into_tree,
};

}  // namespace quern
