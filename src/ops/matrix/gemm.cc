// Gemm: y = alpha * op(a) op(b) + beta * c, matrices.
#include "ops/common/gemm.h"

#include "ops/common/product_parts.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"alpha", AttributeKind::kFloat},
    {"beta", AttributeKind::kFloat},
    {"transA", AttributeKind::kInt},
    {"transB", AttributeKind::kInt},
};

Result<void> infer(InferContext& ctx) {
  QUERN_TRY(ctx.expect_rank(0, 2));
  QUERN_TRY(ctx.expect_rank(1, 2));
  const Shape* a = ctx.shape(0);
  const Shape* b = ctx.shape(1);
  if (a == nullptr || b == nullptr) {
    ctx.set(0, ctx.dtype(0), std::nullopt);
    return {};
  }
  const size_t ta = ctx.node().int_or("transA", 0) != 0 ? 1 : 0;
  const size_t tb = ctx.node().int_or("transB", 0) != 0 ? 1 : 0;
  if (proven_equal((*a)[1 - ta], (*b)[tb]) == false) {
    return ctx.error(cat("inner extents differ: ", *a, " x ", *b));
  }
  Shape y = {(*a)[ta], (*b)[1 - tb]};
  if (ctx.has_input(2) && ctx.shape(2) != nullptr) {
    const Shape& c = *ctx.shape(2);
    bool fits = c.size() <= 2;
    for (size_t i = 0; fits && i < c.size(); ++i) {
      const Dim& d = c[c.size() - 1 - i];
      fits = proven_equal(d, 1) != false || proven_equal(d, y[1 - i]) != false;
    }
    if (!fits) return ctx.error(cat("c of shape ", c, " does not broadcast to ", y));
  }
  ctx.set(0, ctx.dtype(0), std::move(y));
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const size_t ta = ctx.node().int_or("transA", 0) != 0 ? 1 : 0;
  const size_t tb = ctx.node().int_or("transB", 0) != 0 ? 1 : 0;
  const Expr k = b.loop();
  const Expr m = ctx.index(0);
  const Expr n = ctx.index(1);
  const Expr at_a[] = {ta ? k : m, ta ? m : k};
  const Expr at_b[] = {tb ? n : k, tb ? k : n};
  QUERN_ASSIGN(Expr va, ctx.load(0, at_a));
  QUERN_ASSIGN(Expr vb, ctx.load(1, at_b));
  Expr y = b.reduce(ExprOp::kReduceSum, k, ctx.dim(0, 1 - ta), b.mul(va, vb));
  // Attributes are f32; integer products are scaled as ONNX's reference does, by truncation.
  const float alpha = ctx.node().float_or("alpha", 1.0f);
  const float beta = ctx.node().float_or("beta", 1.0f);
  const auto scale = [&](Expr v, float by) {
    if (by == 1.0f) return v;
    const Scalar type = b.type_of(v);
    if (type == Scalar::kF32 || type == Scalar::kF64) return b.mul(v, b.number(v, by));
    const Expr wide = b.cast(v, Scalar::kF64);
    return b.cast(b.mul(wide, b.number(wide, by)), type);
  };
  y = scale(y, alpha);
  if (!ctx.has_input(2) || beta == 0.0f) return y;
  QUERN_ASSIGN(Expr c, ctx.load_broadcast(2));
  return b.add(y, scale(c, beta));
}

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(0).dtype)) return unsupported("an integer or f64 product");
  const Dims& a = ctx.input(0).dims;
  const Dims& b = ctx.input(1).dims;
  const bool ta = ctx.node().int_or("transA", 0) != 0;
  const bool tb = ctx.node().int_or("transB", 0) != 0;
  GemmCall g{.a = ctx.bind_in("a", 0), .b = ctx.bind_in("b", 1), .y = ctx.bind_out("y", 0)};
  g.m = a[ta ? 1 : 0];
  g.k = a[ta ? 0 : 1];
  g.n = b[tb ? 0 : 1];
  g.a_row = ta ? 1 : g.k;
  g.a_col = ta ? g.m : 1;
  g.b_row = tb ? 1 : g.n;
  g.b_col = tb ? g.k : 1;
  Varies varies{.m = !ctx.output(0).is_baked(0), .n = !ctx.output(0).is_baked(1)};
  varies.any = varies.m || varies.n || !ctx.input(0).is_baked(ta ? 0 : 1);
  g.varies = varies;
  g.alpha = ctx.node().float_or("alpha", 1.0f);
  g.beta = ctx.node().float_or("beta", 1.0f);
  if (ctx.has_input(2) && g.beta != 0.0f) {
    const Dims& c = ctx.input(2).dims;
    g.c = ctx.bind_in("c", 2);
    const int64_t cols = c.empty() ? 1 : c.back();
    g.c_col = cols == 1 ? 0 : 1;
    g.c_row = c.size() < 2 || c[0] == 1 ? 0 : cols;
  }
  return dispatch_product(ctx, std::move(g));
}

}  // namespace

extern const OpDef op_gemm;
const OpDef op_gemm = {
    .name = "Gemm",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kNumeric,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .cpu_kernel = "gemm",
};

}  // namespace quern
