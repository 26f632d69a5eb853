// GlobalMaxPool: the largest of each channel over all spatial axes.
#include "ops/common/global_pool.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_global_max_pool;
const OpDef op_global_max_pool = {
    .name = "GlobalMaxPool",
    .types = kFloats,
    .infer = infer_global_pool,
    .expr = [](ExprContext& c, size_t) { return global_pool(c, ExprOp::kReduceMax); },
};

}  // namespace quern
