#include "ops/common/global_pool.h"

namespace quern {

std::vector<size_t> spatial_axes(size_t rank) {
  std::vector<size_t> axes;
  for (size_t a = 2; a < rank; ++a) axes.push_back(a);
  return axes;
}

Result<void> infer_global_pool(InferContext& c) {
  Type type = c.type(0);
  if (type.shape) {
    if (type.shape->size() < 2) return c.error(cat("input has shape ", *type.shape));
    for (size_t a : spatial_axes(type.shape->size())) (*type.shape)[a] = 1;
  }
  c.set(0, std::move(type));
  return {};
}

Result<Expr> global_pool(ExprContext& c, ExprOp op, ReduceBody body) {
  return reduce_axes(c, 0, c.indices(), spatial_axes(c.input(0).rank()), op, body);
}

}  // namespace quern
