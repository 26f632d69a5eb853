// quern.GatedMatMul, made by passes/join_gates.cc: silu(a gate) * (a up) of matrices [K, N].
#include "ops/common/gated.h"
#include "ops/common/matmul.h"
#include "ops/common/product_parts.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kA, kGate, kUp };

Result<void> infer(InferContext& ctx) {
  ctx.set(0, ctx.dtype(kA), std::nullopt);
  for (size_t i : {kGate, kUp}) {
    QUERN_TRY(ctx.expect_rank(i, 2));
    QUERN_ASSIGN(std::optional<Shape> y, matmul_shape(ctx, kA, i));
    const std::optional<Shape>& other = ctx.outputs()[0].type.shape;
    if (y && other && proven_equal(y->back(), other->back()) == false) {
      return ctx.error(cat("products ", *other, " and ", *y));
    }
    if (y) ctx.set(0, ctx.dtype(kA), std::move(y));
  }
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  Expr sums[2];
  for (size_t i : {kGate, kUp}) {
    const MatMulTerm t = matmul_term(ctx, kA, i);
    QUERN_ASSIGN(Expr va, ctx.load(kA, t.at_a));
    QUERN_ASSIGN(Expr vb, ctx.load(i, t.at_b));
    sums[i - kGate] = b.reduce(ExprOp::kReduceSum, t.k, t.depth, b.mul(va, vb));
  }
  return gated(b, sums[0], sums[1]);
}

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(kA).dtype)) return unsupported("a product of f64");
  if (ctx.output(0).count() == 0) return {};
  const GemmCall gate = matmul_call(ctx, kA, kGate);
  QUERN_ASSIGN(const bool is_done, dispatch_gated_vector(ctx, gate, ctx.bind_in("up", kUp)));
  if (is_done) return {};
  return dispatch_gated(
      ctx, [&](bool is_gate, const KernelBinding& a, const KernelBinding& y) -> Result<void> {
        GemmCall g = gate;
        if (!is_gate) g.b.storage = ctx.in(kUp);
        g.a = a;
        g.y = y;
        // Rows of a batch are rows.
        g.m = static_cast<int64_t>(y.count) / g.n;
        g.batch.clear();
        g.a_row = g.k;
        g.epilogue = false;
        return dispatch_product(ctx, std::move(g));
      });
}

}  // namespace

extern const OpDef op_gated_matmul;
const OpDef op_gated_matmul = {
    .name = "GatedMatMul",
    .domain = "quern",
    .since = 0,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kFloats,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
};

}  // namespace quern
