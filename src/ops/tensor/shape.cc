// Shape: the extents of a tensor, or those of its axes from `start` to `end`.
#include <algorithm>

#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"start", AttributeKind::kInt},
                                          {"end", AttributeKind::kInt}};

struct Range {
  size_t first;
  size_t last;  // one past
};

/// The axes asked for, clamped to the rank.
Range axes_of(const Node& node, size_t rank) {
  const auto r = static_cast<int64_t>(rank);
  const auto clamped = [&](int64_t axis) {
    return static_cast<size_t>(std::clamp(axis < 0 ? axis + r : axis, int64_t{0}, r));
  };
  const size_t first = clamped(node.int_or("start", 0));
  return {first, std::max(first, clamped(node.int_or("end", r)))};
}

Result<void> infer_shape(InferContext& c) {
  const Shape* shape = c.shape(0);
  if (shape == nullptr) {
    c.set(0, DType::kI64, Shape{c.fresh_dim(0, 0)});
    return {};
  }
  const Range axes = axes_of(c.node(), shape->size());
  c.set(0, DType::kI64, Shape{Dim(static_cast<int64_t>(axes.last - axes.first))});
  const auto begin = shape->begin();
  c.set_contents(
      0, {begin + static_cast<ptrdiff_t>(axes.first), begin + static_cast<ptrdiff_t>(axes.last)});
  return {};
}

Result<Expr> shape_element(ExprContext& c, size_t) {
  const Range axes = axes_of(c.node(), c.input(0).rank());
  Expr extent = c.b.i32(0);
  for (size_t a = axes.last; a-- > axes.first;) {
    const Expr here = c.b.eq(c.index(0), c.b.i32(static_cast<int64_t>(a - axes.first)));
    extent = c.b.select(here, c.dim(0, a), extent);
  }
  return c.b.cast(extent, Scalar::kI64);
}

}  // namespace

extern const OpDef op_shape;
const OpDef op_shape = {
    .name = "Shape",
    .types = kAllTypes,
    .attributes = kAttributes,
    .infer = infer_shape,
    .expr = shape_element,
};

}  // namespace quern
