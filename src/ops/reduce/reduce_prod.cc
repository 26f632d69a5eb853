// ReduceProd: the product over axes; 1 of nothing.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_prod;
const OpDef op_reduce_prod = {
    .name = "ReduceProd",
    .max_inputs = 2,
    .types = kReduceTypes,
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer =
        [](InferContext& c) {
          return infer_reduce(c, 18, [](const Dim& a, const Dim& b) { return a * b; }, Dim(1));
        },
    .expr = [](ExprContext& c, size_t) { return reduce_expr(c, 18, ExprOp::kReduceProd); },
};

}  // namespace quern
