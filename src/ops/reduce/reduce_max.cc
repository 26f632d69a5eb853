// ReduceMax: the largest over axes; the least value of the type of nothing.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_max;
const OpDef op_reduce_max = {
    .name = "ReduceMax",
    .max_inputs = 2,
    .types = kReduceTypes | types_of(DType::kI8, DType::kU8, DType::kBool),
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer =
        [](InferContext& c) {
          return infer_reduce(c, 18, [](const Dim& a, const Dim& b) { return max(a, b); });
        },
    .expr =
        [](ExprContext& c, size_t) {
          const bool is_bool = c.input(0).dtype == DType::kBool;
          return reduce_expr(c, 18, is_bool ? ExprOp::kReduceAny : ExprOp::kReduceMax);
        },
};

}  // namespace quern
