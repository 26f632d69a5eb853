// MaxRoiPool: regions of images, in whole elements, pooled to one size: the largest element of each
// cell, 0 where a cell has none.
#include "ops/common/exprs.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"pooled_shape", AttributeKind::kInts, true},
    {"spatial_scale", AttributeKind::kFloat},
};

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  QUERN_TRY(c.expect_rank(0, 4));
  QUERN_TRY(c.expect_rank(1, 2));
  const std::vector<int64_t>* pooled = c.node().ints("pooled_shape");
  if (pooled == nullptr || pooled->size() != 2) {
    return c.error("pooled_shape is not a height and a width");
  }
  for (const int64_t size : *pooled) {
    if (size < 1 || size > INT32_MAX) return c.error(cat("pooled_shape has ", size));
  }
  const Shape* x = c.shape(0);
  const Shape* rois = c.shape(1);
  if (rois != nullptr && proven_equal((*rois)[1], Dim(5)) == false) {
    return c.error(cat("regions of shape ", *rois, ", expected [count, 5]"));
  }
  c.set(0, c.dtype(0),
        Shape{rois != nullptr ? (*rois)[0] : c.fresh_dim(0, 0),
              x != nullptr ? (*x)[1] : c.fresh_dim(0, 1), (*pooled)[0], (*pooled)[1]});
  return {};
}

/// The elements of a cell along one axis: `count` from `first` on.
struct Cell {
  Expr first, count;
};

/// The axis of rows (0) or columns (1).
Result<Cell> cell_of(ExprContext& c, size_t axis) {
  ExprBuilder& b = c.b;
  Expr corner[2];  // the region's first and last element
  for (size_t k = 0; k < 2; ++k) {
    const Expr at[] = {c.index(0), b.i32(static_cast<int64_t>(2 * k + 2 - axis))};
    QUERN_ASSIGN(Expr v, c.load(1, at));
    v = b.mul(b.cast(v, Scalar::kF32),
              attribute_number(c, "spatial_scale", 1, b.constant(Scalar::kF32, 0)));
    // Halves are rounded away from 0.
    const Expr size = b.unary(ExprOp::kFloor, b.add(b.unary(ExprOp::kAbs, v), b.number(v, 0.5)));
    const Expr whole = b.cast(b.min(size, b.number(v, 1 << 20)), Scalar::kI32);
    corner[k] = b.select(b.lt(v, zero(b, v)), b.sub(b.i32(0), whole), whole);
  }
  const Expr extent = c.dim(0, 2 + axis);
  const Expr size = b.max(b.add(b.sub(corner[1], corner[0]), b.i32(1)), b.i32(1));
  const Expr cells = c.output_dim(0, 2 + axis);
  const Expr at = c.index(2 + axis);
  // at * size / cells rounded down, and the next one's rounded up, without leaving 32 bits.
  const auto times = [&](Expr n, Expr up) {
    const Expr whole = b.div(size, cells);
    const Expr rest = b.binary(ExprOp::kRem, size, cells);
    return b.add(b.mul(n, whole), b.div(b.add(b.mul(n, rest), up), cells));
  };
  const auto inside = [&](Expr n) { return b.min(b.max(b.add(corner[0], n), b.i32(0)), extent); };
  Cell cell;
  cell.first = inside(times(at, b.i32(0)));
  const Expr end = inside(times(b.add(at, b.i32(1)), b.sub(cells, b.i32(1))));
  cell.count = b.max(b.sub(end, cell.first), b.i32(0));
  return cell;
}

Result<Expr> pooled(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  if (c.input(0).count() == 0) return zero_of(c, 0);
  QUERN_ASSIGN(Cell rows, cell_of(c, 0));
  QUERN_ASSIGN(Cell columns, cell_of(c, 1));
  const Expr first[] = {c.index(0), b.i32(0)};
  QUERN_ASSIGN(Expr batch, c.load(1, first));
  const Expr iy = b.loop();
  const Expr ix = b.loop();
  const Expr at[] = {
      clamp_index(b, b.cast(b.cast(batch, Scalar::kF32), Scalar::kI32), c.dim(0, 0)),
      c.index(1),
      clamp_index(b, b.add(rows.first, iy), c.dim(0, 2)),
      clamp_index(b, b.add(columns.first, ix), c.dim(0, 3)),
  };
  QUERN_ASSIGN(Expr v, c.load(0, at));
  v = b.reduce(ExprOp::kReduceMax, iy, rows.count,
               b.reduce(ExprOp::kReduceMax, ix, columns.count, v));
  const Expr none = b.eq(b.mul(rows.count, columns.count), b.i32(0));
  return b.select(none, zero(b, v), v);
}

}  // namespace

extern const OpDef op_max_roi_pool;
const OpDef op_max_roi_pool = {
    .name = "MaxRoiPool",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expr = pooled,
};

}  // namespace quern
