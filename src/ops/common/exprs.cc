#include "ops/common/exprs.h"

#include <numbers>

namespace quern {

Result<Expr> unary_expr(ExprContext& c, ExprOp op) {
  QUERN_ASSIGN(Expr x, c.load_broadcast(0));
  return c.b.unary(op, x);
}

Result<Expr> binary_expr(ExprContext& c, ExprOp op) {
  QUERN_ASSIGN(Expr x, c.load_broadcast(0));
  QUERN_ASSIGN(Expr y, c.load_broadcast(1));
  return c.b.binary(op, x, y);
}

Result<Expr> variadic_expr(ExprContext& c, ExprOp op) {
  QUERN_ASSIGN(Expr result, c.load_broadcast(0));
  for (size_t i = 1; i < c.input_count(); ++i) {
    QUERN_ASSIGN(Expr x, c.load_broadcast(i));
    result = c.b.binary(op, result, x);
  }
  return result;
}

bool host_baked(const OpContext& c, size_t input) {
  return !c.has_input(input) || (c.frame().host_baked >> input & 1) != 0;
}

Result<Expr> scalar_input(ExprContext& c, size_t input) {
  const TensorInfo& info = c.input(input);
  const HostTensor* host = c.host(input);
  if (host != nullptr && host_baked(c, input) && host->count() == 1) {
    const Scalar type = compute_type(info.dtype);
    if (is_float(info.dtype)) return c.b.constant(type, host->float_at(0));
    return c.b.constant_int(type, host->int_at(0));
  }
  if (info.count() != 1) {
    return c.error(cat("input ", input, " should be one element, not ", info.dims));
  }
  return c.load(input, std::vector<Expr>(info.rank(), c.b.i32(0)));
}

Expr attribute_number(ExprContext& c, std::string_view name, float fallback, Expr like) {
  return c.b.number(like, c.node().float_or(name, fallback));
}

Expr clamp_index(ExprBuilder& b, Expr index, Expr extent) {
  return b.max(b.min(index, b.sub(extent, b.i32(1))), b.i32(0));
}

Expr wrap_index(ExprBuilder& b, Expr index, Expr extent) {
  index = b.cast(index, Scalar::kI32);
  index = b.select(b.lt(index, b.i32(0)), b.add(index, extent), index);
  return clamp_index(b, index, extent);
}

Result<Expr> load_or(ExprContext& c, size_t input, std::vector<Expr> index,
                     std::span<const size_t> axes, Expr fill) {
  if (c.input(input).count() == 0) return fill;
  Expr inside = c.b.boolean(true);
  for (size_t a : axes) {
    const Expr extent = c.dim(input, a);
    inside = c.b.logical_and(inside, c.b.binary(ExprOp::kGe, index[a], c.b.i32(0)));
    inside = c.b.logical_and(inside, c.b.lt(index[a], extent));
    index[a] = clamp_index(c.b, index[a], extent);
  }
  QUERN_ASSIGN(Expr x, c.load(input, index));
  return c.b.select(inside, x, fill);
}

Expr zero_of(ExprContext& c, size_t input) {
  return c.b.constant_int(compute_type(c.input(input).dtype), 0);
}

Expr zero(ExprBuilder& b, Expr x) { return b.number(x, 0); }
Expr one(ExprBuilder& b, Expr x) { return b.number(x, 1); }

Expr sigmoid(ExprBuilder& b, Expr x) {
  const Expr e = b.unary(ExprOp::kExp, b.unary(ExprOp::kNeg, x));
  return b.div(one(b, x), b.add(one(b, x), e));
}

Expr softplus(ExprBuilder& b, Expr x) {
  const Expr small = b.unary(ExprOp::kExp, b.unary(ExprOp::kNeg, b.unary(ExprOp::kAbs, x)));
  return b.add(b.max(x, zero(b, x)), b.unary(ExprOp::kLog1p, small));
}

Expr hard_sigmoid(ExprBuilder& b, Expr x, double alpha, double beta) {
  const Expr line = b.add(b.mul(b.number(x, alpha), x), b.number(x, beta));
  return b.max(b.min(line, one(b, x)), zero(b, x));
}

Expr gelu(ExprBuilder& b, Expr x) {
  const Expr erf = b.unary(ExprOp::kErf, b.mul(x, b.number(x, std::numbers::sqrt2 / 2)));
  return b.mul(b.mul(b.number(x, 0.5), x), b.add(one(b, x), erf));
}

Expr gelu_tanh(ExprBuilder& b, Expr x) {
  const Expr cube = b.mul(x, b.mul(x, x));
  const Expr inner = b.add(x, b.mul(b.number(x, 0.044715), cube));
  // sqrt(2 / pi) = sqrt(2) * (1 / sqrt(pi))
  const double scale = std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  const Expr tanh = b.unary(ExprOp::kTanh, b.mul(b.number(x, scale), inner));
  return b.mul(b.mul(b.number(x, 0.5), x), b.add(one(b, x), tanh));
}

}  // namespace quern
