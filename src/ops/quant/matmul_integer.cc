// MatMulInteger: the product of 8-bit integers less their zero points (one, or one a row of a and
// a column of b), exact in i32, where it may wrap.
#include "ops/common/exprs.h"
#include "ops/common/matmul.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kA, kB, kAZero, kBZero };

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(std::optional<Shape> y, matmul_shape(ctx, kA, kB));
  ctx.set(0, DType::kI32, std::move(y));
  return {};
}

/// The zero point of the operand's element `at`: along its rows (of a) or columns (of b), which is
/// axis `along` of the operand.
Result<Expr> load_zero(ExprContext& ctx, size_t input, const std::vector<Expr>& at, size_t along) {
  ExprBuilder& b = ctx.b;
  const TensorInfo& info = ctx.input(input);
  if (info.rank() == 0) return scalar_input(ctx, input);
  const auto held = [&](Expr index, size_t axis) {
    return b.min(index, b.sub(ctx.dim(input, axis), b.i32(1)));
  };
  if (info.rank() == 1) {
    const Expr index[] = {held(at.size() > 1 ? at[along] : b.i32(0), 0)};
    return ctx.load(input, index);
  }
  if (info.rank() != at.size()) {
    return ctx.error(cat("zero point ", info.dims, " of an operand of rank ", at.size()));
  }
  std::vector<Expr> index;
  for (size_t i = 0; i < at.size(); ++i) {
    const bool depth = i + 2 >= at.size() && i != along;
    index.push_back(depth ? b.i32(0) : held(at[i], i));
  }
  return ctx.load(input, index);
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const MatMulTerm t = matmul_term(ctx, kA, kB);
  const auto operand = [&](size_t input, size_t zero, const std::vector<Expr>& at,
                           size_t along) -> Result<Expr> {
    QUERN_ASSIGN(Expr v, ctx.load(input, at));
    if (!ctx.has_input(zero)) return centred(b, v, std::nullopt);
    QUERN_ASSIGN(Expr z, load_zero(ctx, zero, at, along));
    return centred(b, v, z);
  };
  const size_t ra = t.at_a.size();
  QUERN_ASSIGN(Expr va, operand(kA, kAZero, t.at_a, ra > 1 ? ra - 2 : 0));
  QUERN_ASSIGN(Expr vb, operand(kB, kBZero, t.at_b, t.at_b.size() - 1));
  return b.reduce(ExprOp::kReduceSum, t.k, t.depth, b.mul(va, vb));
}

/// Binds a zero point that does not differ between matrices; gives its step.
Result<int64_t> bind_zero(LowerContext& ctx, size_t input, std::string_view name, int64_t extent,
                          std::optional<KernelBinding>& binding) {
  if (!ctx.has_input(input)) return 0;
  const int64_t count = ctx.input(input).count();
  if (count != 1 && count != extent) return unsupported("a zero point for each matrix");
  binding = ctx.bind_in(name, input);
  return count == 1 ? 0 : 1;
}

Result<void> lower(LowerContext& ctx) {
  for (size_t i = kA; i <= kB; ++i) {
    if (bit_width(ctx.input(i).dtype) != 8) return unsupported("integers of more than 8 bits");
  }
  GemmCall g = matmul_call(ctx, kA, kB);
  g.integer = true;
  QUERN_ASSIGN(g.a_zero_step, bind_zero(ctx, kAZero, "a_zero", g.m, g.a_zero));
  QUERN_ASSIGN(g.b_zero_step, bind_zero(ctx, kBZero, "b_zero", g.n, g.b_zero));
  return dispatch_gemm(ctx, std::move(g));
}

}  // namespace

extern const OpDef op_matmul_integer;
const OpDef op_matmul_integer = {
    .name = "MatMulInteger",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 4,
    .types = types_of(DType::kI8, DType::kU8),
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .cpu_kernel = "matmul_integer",
};

}  // namespace quern
