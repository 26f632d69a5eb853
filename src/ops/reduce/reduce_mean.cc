// ReduceMean: the sum over axes divided by the number of elements; integers truncate.
#include "ops/common/reduce.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_reduce_mean;
const OpDef op_reduce_mean = {
    .name = "ReduceMean",
    .max_inputs = 2,
    .types = kReduceTypes,
    .attributes = kReduceAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_reduce18,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Reduction r, reduction_of(c, 18));
      const Expr count = reduced_count(c, 0, r.axes);
      QUERN_ASSIGN(Expr sum, reduce_axes(c, 0, r.index, r.axes, ExprOp::kReduceSum, reduce_itself));
      return c.b.div(sum, c.b.cast(count, c.b.type_of(sum)));
    },
};

}  // namespace quern
