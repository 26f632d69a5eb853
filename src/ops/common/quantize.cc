#include "ops/common/quantize.h"

#include <algorithm>

#include "ops/common/cast.h"
#include "ops/common/exprs.h"

namespace quern {
namespace {

/// The axis that scales of rank 1 or blocks lie along. A tensor of rank 1 has but one.
Result<size_t> quantized_axis(const Node& node, size_t rank) {
  int64_t axis = node.int_or("axis", 1);
  if (rank == 1 && axis == 1) axis = 0;
  if (axis < 0) axis += static_cast<int64_t>(rank);
  if (axis < 0 || axis >= static_cast<int64_t>(rank)) {
    return invalid_model(
        cat(node.describe(), ": axis ", node.int_or("axis", 1), " of a tensor of rank ", rank));
  }
  return static_cast<size_t>(axis);
}

/// The element type 0 in an attribute means that it is not given.
Result<DType> given_type(const Node& node, std::string_view attribute, DType fallback) {
  if (node.int_or(attribute, 0) == 0) return fallback;
  return type_attribute(node, attribute, fallback);
}

/// The integers that a type holds.
std::pair<int64_t, int64_t> range_of(DType type) {
  const int bits = bit_width(type);
  if (is_signed_int(type)) return {-(int64_t{1} << (bits - 1)), (int64_t{1} << (bits - 1)) - 1};
  return {0, (int64_t{1} << bits) - 1};
}

}  // namespace

Result<Expr> load_quantization(ExprContext& ctx, size_t input) {
  ExprBuilder& b = ctx.b;
  const TensorInfo& info = ctx.input(input);
  if (info.rank() == 0) return scalar_input(ctx, input);
  const size_t rank = ctx.input(0).rank();
  const bool single = info.rank() == 1 && info.is_baked(0) && info.dims[0] == 1;
  if (single || (rank == 0 && info.rank() == 1)) return scalar_input(ctx, input);
  QUERN_ASSIGN(const size_t axis, quantized_axis(ctx.node(), rank));
  const auto held = [&](Expr index, size_t a) {
    return b.min(index, b.sub(ctx.dim(input, a), b.i32(1)));
  };
  const int64_t block = ctx.node().int_or("block_size", 0);
  if (info.rank() != rank || (rank == 1 && block == 0)) {
    if (info.rank() != 1) {
      return ctx.error(cat("scale or zero point ", info.dims, " of a tensor ", ctx.input(0).dims));
    }
    const Expr at[] = {held(ctx.index(axis), 0)};
    return ctx.load(input, at);
  }
  if (block < 0) return ctx.error(cat("block_size is ", block));
  std::vector<Expr> at;
  for (size_t a = 0; a < rank; ++a) {
    const Expr index = ctx.index(a);
    at.push_back(held(a == axis && block > 0 ? b.div(index, b.i32(block)) : index, a));
  }
  return ctx.load(input, at);
}

Result<void> check_quantization(InferContext& ctx, size_t input) {
  const Shape* x = ctx.shape(0);
  const Shape* s = ctx.shape(input);
  if (x == nullptr || s == nullptr || s->empty()) return {};
  if (s->size() == 1 && proven_equal((*s)[0], 1) == true) return {};
  if (x->empty() && s->size() == 1 && proven_equal((*s)[0], 1) != false) return {};
  QUERN_ASSIGN(const size_t axis, quantized_axis(ctx.node(), x->size()));
  const int64_t block = ctx.node().int_or("block_size", 0);
  if (block < 0 || block > INT32_MAX) return ctx.error(cat("block_size is ", block));
  const auto fits = [](const Dim& have, const Dim& want) {
    return proven_equal(have, 1) != false || proven_equal(have, want) != false;
  };
  bool ok = s->size() == 1 || s->size() == x->size();
  if (s->size() == 1 && (x->size() != 1 || block == 0)) {
    ok = fits((*s)[0], (*x)[axis]);
  } else if (ok) {
    for (size_t a = 0; a < x->size(); ++a) {
      const Dim want = a == axis && block > 0 ? ceil_div((*x)[a], block) : (*x)[a];
      ok = ok && fits((*s)[a], want);
    }
  }
  if (!ok) {
    return ctx.error(cat("scale or zero point ", *s, " does not fit a tensor ", *x, ", axis ", axis,
                         ", block_size ", block));
  }
  return {};
}

Expr round_to_integer(ExprBuilder& b, Expr x, std::optional<Expr> zero_point, DType to) {
  const auto [low, high] = range_of(to);
  const Expr zero = zero_point ? b.cast(*zero_point, Scalar::kI32) : b.i32(0);
  const auto limit = [&](int64_t of) { return b.cast(b.sub(b.i32(of), zero), b.type_of(x)); };
  const Expr held = b.max(b.min(b.unary(ExprOp::kRound, x), limit(high)), limit(low));
  return b.cast(b.add(b.cast(held, Scalar::kI32), zero), compute_type(to));
}

Expr centred(ExprBuilder& b, Expr q, std::optional<Expr> zero_point) {
  q = b.cast(q, Scalar::kI32);
  return zero_point ? b.sub(q, b.cast(*zero_point, Scalar::kI32)) : q;
}

Result<void> infer_quantize(InferContext& ctx) {
  DType fallback = ctx.has_input(2) ? ctx.dtype(2) : DType::kU8;
  QUERN_ASSIGN(const DType to, given_type(ctx.node(), "output_dtype", fallback));
  if (ctx.has_input(2) && ctx.dtype(2) != to) {
    return ctx.error(
        cat("output_dtype is ", name_of(to), ", the zero point's type ", name_of(ctx.dtype(2))));
  }
  if ((kQuantized & type_bit(to)) == 0) {
    return ctx.error(cat("quantises to ", name_of(to)));
  }
  for (size_t i = 1; i < 3; ++i) {
    if (ctx.has_input(i)) QUERN_TRY(check_quantization(ctx, i));
  }
  ctx.set(0, to, ctx.type(0).shape);
  return {};
}

Result<Expr> quantize_expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const DType to = ctx.output(0).dtype;
  const DType from = ctx.input(0).dtype;
  const DType scale_type = ctx.input(1).dtype;
  QUERN_ASSIGN(Expr x, ctx.load_broadcast(0));
  QUERN_ASSIGN(Expr scale, load_quantization(ctx, 1));
  // The type that the quotient is rounded to: the common one, or as the attribute says.
  QUERN_ASSIGN(const DType precision,
               given_type(ctx.node(), "precision", from == scale_type ? from : DType::kUndefined));
  Scalar type = is_float(from) && is_float(scale_type) ? Scalar::kF32 : Scalar::kF64;
  if (precision == DType::kF64) type = Scalar::kF64;
  if (precision == DType::kF32) type = Scalar::kF32;
  const bool narrow = precision != DType::kUndefined && is_float(precision);
  if (narrow) {
    x = b.narrow(b.cast(x, type), precision);
    scale = b.narrow(b.cast(scale, type), precision);
  }
  x = b.div(b.cast(x, type), b.cast(scale, type));
  if (narrow) x = b.narrow(x, precision);
  if (is_integer(to)) {
    std::optional<Expr> zero;
    if (ctx.has_input(2)) {
      QUERN_ASSIGN(zero, load_quantization(ctx, 2));
    }
    return round_to_integer(b, x, zero, to);
  }
  x = b.cast(x, Scalar::kF32);
  if (to == DType::kF4E2M1 && ctx.has_input(2)) {
    QUERN_ASSIGN(Expr zero, load_quantization(ctx, 2));
    x = b.add(x, zero);
  }
  return to_small_float(b, x, to, ctx.node().int_or("saturate", 1) != 0);
}

Result<void> infer_dequantize(InferContext& ctx) {
  const DType fallback = ctx.dtype(1) == DType::kF8E8M0 ? DType::kF32 : ctx.dtype(1);
  QUERN_ASSIGN(const DType to, given_type(ctx.node(), "output_dtype", fallback));
  if ((kFloats & type_bit(to)) == 0) return ctx.error(cat("dequantises to ", name_of(to)));
  for (size_t i = 1; i < 3; ++i) {
    if (ctx.has_input(i)) QUERN_TRY(check_quantization(ctx, i));
  }
  ctx.set(0, to, ctx.type(0).shape);
  return {};
}

Result<Expr> dequantize_expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(Expr x, ctx.load_broadcast(0));
  QUERN_ASSIGN(Expr scale, load_quantization(ctx, 1));
  if (is_integer(ctx.input(0).dtype)) {
    std::optional<Expr> zero;
    if (ctx.has_input(2)) {
      QUERN_ASSIGN(zero, load_quantization(ctx, 2));
    }
    x = centred(b, x, zero);
  }
  return b.cast(b.mul(b.cast(x, b.type_of(scale)), scale), compute_type(ctx.output(0).dtype));
}

}  // namespace quern
