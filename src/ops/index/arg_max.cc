// ArgMax: the index of the largest element along `axis`.
#include "ops/common/arg_reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_arg_max;
const OpDef op_arg_max = {
    .name = "ArgMax",
    .types = kNumeric,
    .attributes = kArgReduceAttributes,
    .infer = infer_arg_reduce,
    .expr = [](ExprContext& c,
               size_t) { return arg_reduce(c, ExprOp::kArgMaxFirst, ExprOp::kArgMaxLast); },
};

}  // namespace quern
