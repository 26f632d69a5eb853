// MatMul: NumPy's matmul, any ranks.
#include "ops/common/gemm.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& ctx) {
  const Shape* a = ctx.shape(0);
  const Shape* b = ctx.shape(1);
  if (a == nullptr || b == nullptr) {
    ctx.set(0, ctx.dtype(0), std::nullopt);
    return {};
  }
  if (a->empty() || b->empty()) return ctx.error("operands must have at least one axis");
  const Dim& ka = a->back();
  const Dim& kb = b->size() == 1 ? b->front() : (*b)[b->size() - 2];
  if (proven_equal(ka, kb) == false) {
    return ctx.error(cat("inner extents differ: ", *a, " x ", *b));
  }
  const Shape a_batch(a->begin(), a->end() - std::min<ptrdiff_t>(2, std::ssize(*a)));
  const Shape b_batch(b->begin(), b->end() - std::min<ptrdiff_t>(2, std::ssize(*b)));
  auto y = broadcast_shapes(a_batch, b_batch);
  if (!y) return ctx.error(std::move(y).error().message);
  if (a->size() > 1) y->push_back((*a)[a->size() - 2]);
  if (b->size() > 1) y->push_back(b->back());
  ctx.set(0, ctx.dtype(0), *std::move(y));
  return {};
}

/// The generic form, for types that the kernels don't compute in: a sum over k.
Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const size_t ra = ctx.input(0).rank();
  const size_t rb = ctx.input(1).rank();
  const size_t batch = std::max(ra, rb) > 2 ? std::max(ra, rb) - 2 : 0;
  const Expr k = b.loop();
  // Along batch axis `axis` of an operand that has `own` of them: 0 where it is broadcast.
  const auto batch_index = [&](size_t input, size_t axis, size_t own) {
    return b.min(ctx.index(batch - own + axis), b.sub(ctx.dim(input, axis), b.i32(1)));
  };
  std::vector<Expr> at_a;
  for (size_t i = 0; i + 2 < ra; ++i) at_a.push_back(batch_index(0, i, ra - 2));
  if (ra > 1) at_a.push_back(ctx.index(batch));
  at_a.push_back(k);
  std::vector<Expr> at_b;
  for (size_t i = 0; i + 2 < rb; ++i) at_b.push_back(batch_index(1, i, rb - 2));
  at_b.push_back(k);
  if (rb > 1) at_b.push_back(ctx.index(batch + (ra > 1 ? 1 : 0)));
  QUERN_ASSIGN(Expr va, ctx.load(0, at_a));
  QUERN_ASSIGN(Expr vb, ctx.load(1, at_b));
  return b.reduce(ExprOp::kReduceSum, k, ctx.dim(0, ra - 1), b.mul(va, vb));
}

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(0).dtype)) return unsupported("an integer or f64 product");
  const Dims& a = ctx.input(0).dims;
  const Dims& b = ctx.input(1).dims;
  GemmCall g{.a = ctx.bind_in("a", 0), .b = ctx.bind_in("b", 1), .y = ctx.bind_out("y", 0)};
  g.k = a.back();
  g.m = a.size() > 1 ? a[a.size() - 2] : 1;
  g.n = b.size() > 1 ? b.back() : 1;
  g.a_row = g.k;
  g.b_row = g.n;
  const std::span<const int64_t> a_batch(a.data(), a.size() - std::min<size_t>(2, a.size()));
  const std::span<const int64_t> b_batch(b.data(), b.size() - std::min<size_t>(2, b.size()));
  g.batch = batch_axes(a_batch, b_batch, g.m * g.k, g.k * g.n);
  return dispatch_gemm(ctx, std::move(g));
}

}  // namespace

extern const OpDef op_matmul;
const OpDef op_matmul = {
    .name = "MatMul",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .cpu_kernel = "matmul",
};

}  // namespace quern
