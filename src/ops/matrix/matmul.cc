// MatMul: NumPy's matmul, any ranks.
#include "ops/common/matmul.h"

#include "ops/common/product_parts.h"
#include "ops/matrix/matmul_ops.h"
#include "ops/op_def.h"

namespace quern {

Result<void> infer_matmul(InferContext& ctx) {
  QUERN_ASSIGN(std::optional<Shape> y, matmul_shape(ctx, 0, 1));
  ctx.set(0, ctx.dtype(0), std::move(y));
  return {};
}

/// The generic form, for types that the kernels don't compute in: a sum over k.
Result<Expr> matmul_expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const MatMulTerm t = matmul_term(ctx, 0, 1);
  QUERN_ASSIGN(Expr va, ctx.load(0, t.at_a));
  QUERN_ASSIGN(Expr vb, ctx.load(1, t.at_b));
  const Expr y = b.reduce(ExprOp::kReduceSum, t.k, t.depth, b.mul(va, vb));
  const float alpha = ctx.node().float_or("alpha", 1.0f);
  return alpha == 1.0f ? y : b.mul(y, b.number(y, alpha));
}

Result<void> lower_matmul(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(0).dtype)) return unsupported("an integer or f64 product");
  GemmCall g = matmul_call(ctx, 0, 1);
  g.alpha = ctx.node().float_or("alpha", 1.0f);
  return dispatch_product(ctx, std::move(g));
}

extern const OpDef op_matmul;
const OpDef op_matmul = {
    .name = "MatMul",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .takes_epilogue = true,
    .infer = infer_matmul,
    .expr = matmul_expr,
    .lower = lower_matmul,
    .cpu_kernel = "matmul",
};

}  // namespace quern
