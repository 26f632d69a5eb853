#include "ops/common/merge_types.h"

namespace quern {

Type merge_types(const InferContext& ctx, size_t output, const Type& a, const Type& b) {
  Type merged = a;
  if (merged.dtype == DType::kUndefined) merged.dtype = b.dtype;
  if (a.kind != Type::Kind::kTensor) return merged;
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) {
    merged.shape.reset();
    return merged;
  }
  for (size_t axis = 0; axis < a.shape->size(); ++axis) {
    if ((*a.shape)[axis] == (*b.shape)[axis]) continue;
    (*merged.shape)[axis] = ctx.fresh_dim(output, axis);
  }
  return merged;
}

}  // namespace quern
