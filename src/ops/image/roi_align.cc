// RoiAlign: regions of images pooled to one size: the mean (or maximum) of samples between
// elements, evenly spaced in each cell of a region.
#include "ops/common/exprs.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"coordinate_transformation_mode", AttributeKind::kString},
    {"mode", AttributeKind::kString},
    {"output_height", AttributeKind::kInt},
    {"output_width", AttributeKind::kInt},
    {"sampling_ratio", AttributeKind::kInt},
    {"spatial_scale", AttributeKind::kFloat},
};
constexpr int kHalfPixelSince = 16;
/// A cell has at most so many samples along an axis, whatever the data says.
constexpr int64_t kMaxSamples = 4096;

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  QUERN_TRY(c.expect_rank(0, 4));
  QUERN_TRY(c.expect_rank(1, 2));
  QUERN_TRY(c.expect_rank(2, 1));
  const int64_t height = c.node().int_or("output_height", 1);
  const int64_t width = c.node().int_or("output_width", 1);
  if (height < 1 || width < 1 || height > INT32_MAX || width > INT32_MAX) {
    return c.error(cat("an output of ", height, " by ", width));
  }
  const Shape* x = c.shape(0);
  const Shape* rois = c.shape(1);
  if (rois != nullptr && proven_equal((*rois)[1], Dim(4)) == false) {
    return c.error(cat("regions of shape ", *rois, ", expected [count, 4]"));
  }
  c.set(0, c.dtype(0),
        Shape{rois != nullptr ? (*rois)[0] : c.fresh_dim(0, 0),
              x != nullptr ? (*x)[1] : c.fresh_dim(0, 1), height, width});
  return {};
}

/// Cells and samples along one axis.
struct Axis {
  Expr extent;   // of the image
  Expr start;    // of the cell
  Expr step;     // between samples
  Expr samples;  // i32
};

/// The axis of rows (0) or columns (1).
Result<Axis> axis_of(ExprContext& c, size_t axis) {
  ExprBuilder& b = c.b;
  const bool half_pixel =
      c.version() >= kHalfPixelSince &&
      c.node().string_or("coordinate_transformation_mode", "half_pixel") == "half_pixel";
  Expr corner[2];
  for (size_t k = 0; k < 2; ++k) {
    const Expr at[] = {c.index(0), b.i32(static_cast<int64_t>(2 * k + 1 - axis))};
    QUERN_ASSIGN(Expr v, c.load(1, at));
    v = b.cast(v, Scalar::kF32);
    v = b.mul(v, attribute_number(c, "spatial_scale", 1, v));
    corner[k] = half_pixel ? b.sub(v, b.number(v, 0.5)) : v;
  }
  Expr size = b.sub(corner[1], corner[0]);
  if (!half_pixel) size = b.max(size, one(b, size));
  const Expr cells = b.cast(c.output_dim(0, 2 + axis), Scalar::kF32);
  const Expr cell = b.div(size, cells);
  Axis result;
  result.extent = c.dim(0, 2 + axis);
  const int64_t ratio = c.node().int_or("sampling_ratio", 0);
  if (ratio > 0) {
    result.samples = b.i32(std::min(ratio, kMaxSamples));
  } else {
    // The quotient rounded up, by a product: a device's division need not be exact.
    const Expr near = b.unary(ExprOp::kRound, cell);
    const Expr up = b.select(b.lt(b.mul(near, cells), size), b.add(near, one(b, near)), near);
    result.samples = b.min(b.cast(up, Scalar::kI32), b.i32(kMaxSamples));
  }
  result.start = b.add(corner[0], b.mul(b.cast(c.index(2 + axis), Scalar::kF32), cell));
  result.step = b.div(cell, b.cast(b.max(result.samples, b.i32(1)), Scalar::kF32));
  return result;
}

/// The two elements around sample `i`, how much the second one weighs, and whether the sample is
/// near enough to the image.
struct Place {
  Expr low, high, ratio, inside;
};
Place place_of(ExprBuilder& b, const Axis& axis, Expr i) {
  const Expr half = b.constant(Scalar::kF32, 0.5);
  Expr at = b.add(axis.start, b.mul(b.add(b.cast(i, Scalar::kF32), half), axis.step));
  const Expr extent = b.cast(axis.extent, Scalar::kF32);
  Place p;
  p.inside =
      b.logical_and(b.binary(ExprOp::kGe, at, b.number(at, -1)), b.binary(ExprOp::kLe, at, extent));
  const Expr last = b.max(b.sub(axis.extent, b.i32(1)), b.i32(0));
  at = b.max(b.min(at, b.cast(last, Scalar::kF32)), zero(b, at));
  p.low = clamp_index(b, b.cast(at, Scalar::kI32), axis.extent);
  p.high = b.min(b.add(p.low, b.i32(1)), last);
  p.ratio = b.sub(at, b.cast(p.low, Scalar::kF32));
  return p;
}

Result<Expr> pooled(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const std::string_view mode = c.node().string_or("mode", "avg");
  if (mode != "avg" && mode != "max")
    return c.error(cat("mode is '", mode, "', expected avg or max"));
  if (c.input(0).count() == 0) return zero_of(c, 0);
  QUERN_ASSIGN(Axis rows, axis_of(c, 0));
  QUERN_ASSIGN(Axis columns, axis_of(c, 1));
  const Expr at_batch[] = {c.index(0)};
  QUERN_ASSIGN(Expr batch, c.load(2, at_batch));
  batch = wrap_index(b, batch, c.dim(0, 0));
  const Expr iy = b.loop();
  const Expr ix = b.loop();
  const Place y = place_of(b, rows, iy);
  const Place x = place_of(b, columns, ix);
  const auto corner = [&](bool down, bool right) -> Result<Expr> {
    const Expr at[] = {batch, c.index(1), down ? y.high : y.low, right ? x.high : x.low};
    QUERN_ASSIGN(Expr v, c.load(0, at));
    v = b.cast(v, Scalar::kF32);
    const Expr wy = down ? y.ratio : b.sub(one(b, v), y.ratio);
    const Expr wx = right ? x.ratio : b.sub(one(b, v), x.ratio);
    return b.mul(b.mul(wy, wx), v);
  };
  QUERN_ASSIGN(Expr v00, corner(false, false));
  QUERN_ASSIGN(Expr v01, corner(false, true));
  QUERN_ASSIGN(Expr v10, corner(true, false));
  QUERN_ASSIGN(Expr v11, corner(true, true));
  const bool is_max = mode == "max";
  // The maximum is over weighted corners, not over samples: so the operator is defined.
  Expr v =
      is_max ? b.max(b.max(v00, v01), b.max(v10, v11)) : b.add(b.add(v00, v01), b.add(v10, v11));
  v = b.select(b.logical_and(y.inside, x.inside), v, zero(b, v));
  const ExprOp op = is_max ? ExprOp::kReduceMax : ExprOp::kReduceSum;
  v = b.reduce(op, iy, rows.samples, b.reduce(op, ix, columns.samples, v));
  const Expr count = b.mul(b.max(rows.samples, b.i32(0)), b.max(columns.samples, b.i32(0)));
  if (is_max) {
    v = b.select(b.eq(count, b.i32(0)), zero(b, v), v);
  } else {
    v = b.div(v, b.cast(b.max(count, b.i32(1)), Scalar::kF32));
  }
  return b.cast(v, compute_type(c.output(0).dtype));
}

}  // namespace

extern const OpDef op_roi_align;
const OpDef op_roi_align = {
    .name = "RoiAlign",
    .since = 10,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expr = pooled,
};

}  // namespace quern
