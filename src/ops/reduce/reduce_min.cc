// ReduceMin: the least over axes; the largest value of the type of nothing.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_min;
const OpDef op_reduce_min = {
    .name = "ReduceMin",
    .max_inputs = 2,
    .types = kReduceTypes | types_of(DType::kI8, DType::kU8, DType::kBool),
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer =
        [](InferContext& c) {
          return infer_reduce(c, 18, [](const Dim& a, const Dim& b) { return min(a, b); });
        },
    .expr =
        [](ExprContext& c, size_t) {
          const bool is_bool = c.input(0).dtype == DType::kBool;
          return reduce_expr(c, 18, is_bool ? ExprOp::kReduceAll : ExprOp::kReduceMin);
        },
};

}  // namespace quern
