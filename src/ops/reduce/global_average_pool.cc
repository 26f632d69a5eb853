// GlobalAveragePool: the mean of each channel over all spatial axes.
#include "ops/common/global_pool.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_global_average_pool;
const OpDef op_global_average_pool = {
    .name = "GlobalAveragePool",
    .types = kFloats,
    .infer = infer_global_pool,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr sum, global_pool(c, ExprOp::kReduceSum));
      const Expr count = reduced_count(c, 0, spatial_axes(c.input(0).rank()));
      return c.b.div(sum, c.b.cast(count, c.b.type_of(sum)));
    },
};

}  // namespace quern
