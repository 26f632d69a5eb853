// AffineGrid: where the elements of an image of the given size lie, each coordinate from -1 to 1,
// moved by a matrix an image.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"align_corners", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  QUERN_TRY(c.expect_rank(0, 3));
  const std::optional<std::vector<Dim>> size = c.contents(1);
  const Shape* theta = c.shape(0);
  if (!size) {
    // [n, rows, columns] by rows, the number of spatial axes, where that is known.
    if (theta == nullptr || !(*theta)[1].is_const()) return {};
    const int64_t spatial = (*theta)[1].value();
    if (spatial < 1 || spatial > 6) return c.error(cat("theta has shape ", *theta));
    Shape shape = fresh_shape(c, 0, static_cast<size_t>(spatial) + 2);
    shape[0] = (*theta)[0];
    shape.back() = spatial;
    c.set(0, c.dtype(0), std::move(shape));
    return {};
  }
  if (size->size() < 3) return c.error(cat("size ", Shape(*size), " has no spatial axis"));
  const auto spatial = static_cast<int64_t>(size->size()) - 2;
  Shape shape = {theta != nullptr ? (*theta)[0] : (*size)[0]};
  if (theta != nullptr && (proven_equal((*theta)[1], Dim(spatial)) == false ||
                           proven_equal((*theta)[2], Dim(spatial + 1)) == false ||
                           proven_equal((*theta)[0], (*size)[0]) == false)) {
    return c.error(cat("theta of shape ", *theta, " does not fit size ", Shape(*size)));
  }
  for (size_t a = 2; a < size->size(); ++a) {
    const Dim& extent = (*size)[a];
    if (extent.upper() < 0) return c.error(cat("size ", Shape(*size), " is negative"));
    shape.push_back(extent.lower() >= 0 ? extent : c.fresh_dim(0, a - 1));
  }
  shape.emplace_back(spatial);
  c.set(0, c.dtype(0), std::move(shape));
  return {};
}

Result<Expr> moved(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const bool align = c.node().int_or("align_corners", 0) != 0;
  const size_t spatial = c.output(0).rank() - 2;
  const Expr row = c.index(spatial + 1);
  const auto theta = [&](size_t column) {
    const Expr at[] = {c.index(0), row, b.i32(static_cast<int64_t>(column))};
    return c.load(0, at);
  };
  QUERN_ASSIGN(Expr y, theta(spatial));
  for (size_t k = 0; k < spatial; ++k) {
    const size_t axis = spatial - k;  // the last axis is the first coordinate
    const Expr size = c.output_dim(0, axis);
    // (2 i + 1 - size) / size, or with corners aligned over size - 1: both are exact in the middle.
    const Expr twice = b.add(b.add(c.index(axis), c.index(axis)), b.i32(1));
    const Expr span = align ? b.max(b.sub(size, b.i32(1)), b.i32(1)) : size;
    const Expr at = b.div(b.cast(b.sub(twice, size), b.type_of(y)), b.cast(span, b.type_of(y)));
    QUERN_ASSIGN(Expr factor, theta(k));
    y = b.add(b.mul(factor, at), y);
  }
  return y;
}

}  // namespace

extern const OpDef op_affine_grid;
const OpDef op_affine_grid = {
    .name = "AffineGrid",
    .since = 20,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 0b10,
    .infer = infer,
    .expr = moved,
};

}  // namespace quern
