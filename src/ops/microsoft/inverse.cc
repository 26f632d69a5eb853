// Inverse: the inverses of the last two axes' matrices, by elimination with the largest pivot.
#include "ops/common/exprs.h"
#include "ops/common/gemm.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// Smaller matrices have a formula.
constexpr int64_t kMaxFormula = 3;

Result<void> infer(InferContext& c) {
  c.set(0, c.type(0));
  const Shape* x = c.shape(0);
  if (x == nullptr) return {};
  if (x->size() < 2 || proven_equal((*x)[x->size() - 1], (*x)[x->size() - 2]) == false) {
    return c.error(cat("input ", *x, " holds no square matrices"));
  }
  return {};
}

/// The cofactor of the mirrored element over the determinant.
Result<Expr> formula(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t rank = c.input(0).rank();
  const int64_t n = c.input(0).dims[rank - 1];
  if (n > kMaxFormula) return unsupported(cat(c.node().describe(), ": matrices of order ", n));
  std::vector<Expr> at = c.indices();
  const Expr row = at[rank - 1];
  const Expr column = at[rank - 2];
  // An element at a place that may pass the edge and goes on at the other one.
  const auto element = [&](Expr i, Expr j) {
    at[rank - 2] = b.binary(ExprOp::kRem, i, b.i32(n));
    at[rank - 1] = b.binary(ExprOp::kRem, j, b.i32(n));
    return c.load(0, at);
  };
  const auto after = [&](Expr i, int64_t steps) { return b.add(i, b.i32(steps)); };
  // The cofactor at (i, j). Of order 3, going on past the edge gives the signs.
  const auto cofactor = [&](Expr i, Expr j) -> Result<Expr> {
    QUERN_ASSIGN(const Expr first, element(after(i, 1), after(j, 1)));
    if (n == 1) return one(b, first);
    if (n == 2) {
      const Expr odd = b.binary(ExprOp::kRem, b.add(i, j), b.i32(2));
      return b.select(b.eq(odd, b.i32(0)), first, b.unary(ExprOp::kNeg, first));
    }
    QUERN_ASSIGN(const Expr second, element(after(i, 2), after(j, 2)));
    QUERN_ASSIGN(const Expr third, element(after(i, 1), after(j, 2)));
    QUERN_ASSIGN(const Expr fourth, element(after(i, 2), after(j, 1)));
    return b.sub(b.mul(first, second), b.mul(third, fourth));
  };
  if (n == 0) return b.constant(compute_type(c.input(0).dtype), 0);
  QUERN_ASSIGN(const Expr above, cofactor(row, column));
  Expr determinant;
  for (int64_t j = 0; j < n; ++j) {
    QUERN_ASSIGN(const Expr x, element(b.i32(0), b.i32(j)));
    QUERN_ASSIGN(const Expr minor, cofactor(b.i32(0), b.i32(j)));
    const Expr product = b.mul(x, minor);
    determinant = j == 0 ? product : b.add(determinant, product);
  }
  return b.div(above, determinant);
}

Result<void> lower(LowerContext& ctx) {
  const TensorInfo& x = ctx.input(0);
  const int64_t n = x.dims.back();
  const bool baked = x.is_baked(x.rank() - 1) && x.is_baked(x.rank() - 2);
  if (baked && n <= kMaxFormula) return unsupported("small matrices have a formula");
  if (x.count() == 0) return {};
  const int64_t count = x.count() / (n * n);
  QUERN_TRY(check_u32(ctx, x.count() * 2));
  KernelCall call;
  call.kernel = "inverse";
  const auto elements = static_cast<uint64_t>(x.count()) * 2;
  QUERN_ASSIGN(Storage work, ctx.scratch(elements * 4));
  call.bindings = {
      ctx.bind_in("x", 0), {"work", work, DType::kF32, elements}, ctx.bind_out("y", 0)};
  call.params = {static_cast<uint32_t>(n), static_cast<uint32_t>(count)};
  call.workgroups = split_workgroups(static_cast<uint64_t>(count), ctx.target());
  return ctx.dispatch(std::move(call));
}

}  // namespace

extern const OpDef op_inverse;
const OpDef op_inverse = {
    .name = "Inverse",
    .domain = "com.microsoft",
    .types = kFloats,
    .infer = infer,
    .expr = formula,
    .lower = lower,
    .cpu_kernel = "inverse",
};

}  // namespace quern
