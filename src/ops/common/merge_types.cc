#include "ops/common/merge_types.h"

namespace quern {

Type merge_types(const InferContext& ctx, size_t output, const Type& a, const Type& b) {
  Type merged = a;
  if (merged.dtype == DType::kUndefined) merged.dtype = b.dtype;
  if (!a.is_tensor()) return merge_elements(a, b);
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

Type merge_elements(const Type& a, const Type& b) {
  Type merged = a;
  if (merged.dtype == DType::kUndefined) merged.dtype = b.dtype;
  if (!a.is_tensor()) {
    if (a.element && b.element) {
      merged.element = std::make_shared<const Type>(merge_elements(*a.element, *b.element));
    }
    return merged;
  }
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) {
    merged.shape.reset();
    return merged;
  }
  for (size_t axis = 0; axis < a.shape->size(); ++axis) {
    const Dim& one = (*a.shape)[axis];
    if (one.is_const() && one == (*b.shape)[axis]) continue;
    (*merged.shape)[axis] = Dim::symbol("_any");
  }
  return merged;
}

Type element_taken(const InferContext& ctx, size_t output, const Type& element) {
  Type taken = element;
  if (!element.is_tensor() || !element.shape) return taken;
  for (size_t axis = 0; axis < element.shape->size(); ++axis) {
    if (!(*element.shape)[axis].is_const()) (*taken.shape)[axis] = ctx.fresh_dim(output, axis);
  }
  return taken;
}

}  // namespace quern
