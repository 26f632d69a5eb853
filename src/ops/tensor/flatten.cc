// Flatten: to a matrix, whose rows are the axes before `axis`.
#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt}};

Result<void> infer_flatten(InferContext& c) {
  const Shape* shape = c.shape(0);
  if (shape == nullptr) {
    c.set(0, c.dtype(0), fresh_shape(c, 0, 2));
    return {};
  }
  const auto rank = static_cast<int64_t>(shape->size());
  int64_t axis = c.node().int_or("axis", 1);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis > rank) return c.error(cat("axis is out of range for ", *shape));
  const auto middle = shape->begin() + axis;
  c.set(0, c.dtype(0),
        Shape{element_count(Shape(shape->begin(), middle)),
              element_count(Shape(middle, shape->end()))});
  pass_contents(c);
  return {};
}

}  // namespace

extern const OpDef op_flatten;
const OpDef op_flatten = {
    .name = "Flatten",
    .types = kMovableTypes,
    .attributes = kAttributes,
    .is_view = true,
    .infer = infer_flatten,
};

}  // namespace quern
