// Reduction of each channel over all spatial axes (those from 2 on).
#pragma once

#include <vector>

#include "ops/common/reduce.h"

namespace quern {

std::vector<size_t> spatial_axes(size_t rank);
/// Spatial extents become 1.
Result<void> infer_global_pool(InferContext& c);
Result<Expr> global_pool(ExprContext& c, ExprOp op, ReduceBody body = reduce_itself);

}  // namespace quern
