// ReduceSum: the sum over axes; 0 of nothing.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_sum;
const OpDef op_reduce_sum = {
    .name = "ReduceSum",
    .max_inputs = 2,
    .types = kReduceTypes,
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer =
        [](InferContext& c) {
          return infer_reduce(c, 13, [](const Dim& a, const Dim& b) { return a + b; }, Dim(0));
        },
    .expr = [](ExprContext& c, size_t) { return reduce_expr(c, 13, ExprOp::kReduceSum); },
};

}  // namespace quern
