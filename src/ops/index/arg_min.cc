// ArgMin: the index of the least element along `axis`.
#include "ops/common/arg_reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_arg_min;
const OpDef op_arg_min = {
    .name = "ArgMin",
    .types = kNumeric,
    .attributes = kArgReduceAttributes,
    .infer = infer_arg_reduce,
    .expr = [](ExprContext& c,
               size_t) { return arg_reduce(c, ExprOp::kArgMinFirst, ExprOp::kArgMinLast); },
};

}  // namespace quern
