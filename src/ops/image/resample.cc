// quern.Resample: an input read along some axes as tables say (resize_table): one element a
// position, or a weighted sum of neighbours. Axes that share a node share a pass over the data.
#include <span>

#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/resize_shape.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"axes", AttributeKind::kInts, true},
    {"crop", AttributeKind::kInt},  // positions may lie outside
    {"extrapolation_value", AttributeKind::kFloat},
    {"taps", AttributeKind::kInt},  // 0: nearest; -1: as many as the table has
    {"to", AttributeKind::kInt},    // the output's element type
};

Result<void> infer(InferContext& c) {
  const auto dtype = static_cast<DType>(c.node().int_or("to", static_cast<int64_t>(c.dtype(0))));
  c.set(0, dtype, std::nullopt);
  const Shape* x = c.shape(0);
  const std::vector<int64_t>* axes = c.node().ints("axes");
  if (x == nullptr || axes == nullptr) return {};
  QUERN_ASSIGN(std::vector<size_t> at, resolve_axes(c.node(), *axes, x->size()));
  Shape y = *x;
  for (size_t k = 0; k < at.size(); ++k) {
    QUERN_TRY(c.expect_rank(1 + k, 2));
    const Shape* table = c.shape(1 + k);
    y[at[k]] = table != nullptr ? (*table)[1] : c.fresh_dim(0, at[k]);
  }
  c.set(0, dtype, std::move(y));
  return {};
}

/// The sum over the taps of axes k and on.
struct Sum {
  ExprContext& c;
  std::span<const size_t> axes;
  std::vector<Expr> starts;
  Scalar type;
  int64_t taps;

  Result<Expr> over(size_t k, std::vector<Expr>& index) {
    ExprBuilder& b = c.b;
    if (k == axes.size()) {
      QUERN_ASSIGN(Expr x, c.load(0, index));
      return b.cast(x, type);
    }
    const size_t a = axes[k];
    const auto term = [&](Expr tap) -> Result<Expr> {
      index[a] = clamp_index(b, b.add(starts[k], tap), c.dim(0, a));
      QUERN_ASSIGN(Expr x, over(k + 1, index));
      const Expr at[] = {b.add(tap, b.i32(1)), c.index(a)};
      QUERN_ASSIGN(Expr bits, c.load(1 + k, at));
      return b.mul(x, b.cast(b.bitcast(bits, Scalar::kF32), type));
    };
    if (taps < 0) {
      const Expr tap = b.loop();
      QUERN_ASSIGN(Expr body, term(tap));
      return b.reduce(ExprOp::kReduceSum, tap, b.sub(c.dim(1 + k, 0), b.i32(1)), body);
    }
    QUERN_ASSIGN(Expr sum, term(b.i32(0)));
    for (int64_t t = 1; t < taps; ++t) {
      QUERN_ASSIGN(Expr next, term(b.i32(t)));
      sum = b.add(sum, next);
    }
    return sum;
  }
};

/// A sum in the output's type: integers are rounded and kept in range.
Expr stored(ExprBuilder& b, Expr sum, DType dtype) {
  const Scalar type = compute_type(dtype);
  if (is_float(dtype)) return b.cast(sum, type);
  if (dtype == DType::kBool) {
    return b.logical_not(b.eq(b.unary(ExprOp::kRound, sum), zero(b, sum)));
  }
  sum = b.unary(ExprOp::kRound, sum);
  const int bits = bit_width(dtype);
  if (bits < 32) {
    const bool is_signed = is_signed_int(dtype);
    const double top = static_cast<double>((int64_t{1} << (is_signed ? bits - 1 : bits)) - 1);
    sum = b.min(b.max(sum, b.number(sum, is_signed ? -top - 1 : 0)), b.number(sum, top));
  }
  return b.cast(sum, type);
}

Result<Expr> resampled(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const DType dtype = c.output(0).dtype;
  if (c.input(0).count() == 0) return b.constant_int(compute_type(dtype), 0);
  QUERN_ASSIGN(std::vector<size_t> axes,
               resolve_axes(c.node(), *c.node().ints("axes"), c.input(0).rank()));
  const bool crop = c.node().int_or("crop", 0) != 0;
  std::vector<Expr> starts;
  Expr outside = b.boolean(false);
  for (size_t k = 0; k < axes.size(); ++k) {
    const Expr at[] = {b.i32(0), c.index(axes[k])};
    QUERN_ASSIGN(Expr start, c.load(1 + k, at));
    starts.push_back(start);
    if (crop) outside = b.logical_or(outside, b.eq(start, b.i32(kResizeOutside)));
  }
  std::vector<Expr> index = c.indices();
  const int64_t taps = c.node().int_or("taps", 0);
  Expr y;
  if (taps == 0) {
    for (size_t k = 0; k < axes.size(); ++k) {
      index[axes[k]] = clamp_index(b, starts[k], c.dim(0, axes[k]));
    }
    QUERN_ASSIGN(y, c.load(0, index));
  } else {
    const DType from = c.input(0).dtype;
    const bool wide = from == DType::kF64 || (is_integer(from) && bit_width(from) >= 32);
    Sum sum{c, axes, starts, wide ? Scalar::kF64 : Scalar::kF32, taps};
    QUERN_ASSIGN(Expr total, sum.over(0, index));
    y = stored(b, total, dtype);
  }
  if (!crop) return y;
  const double fill = static_cast<double>(c.node().float_or("extrapolation_value", 0));
  const Expr value =
      is_float(dtype) ? b.number(y, fill) : stored(b, b.constant(Scalar::kF64, fill), dtype);
  return b.select(outside, value, y);
}

}  // namespace

extern const OpDef op_resample;
const OpDef op_resample = {
    .name = "Resample",
    .domain = "quern",
    .min_inputs = 2,
    .max_inputs = kVariadic,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expr = resampled,
    .eval = eval_moved,
};

}  // namespace quern
