// Inverse: the inverses of the last two axes' matrices, by elimination with the largest pivot.
#include "ops/common/exprs.h"
#include "ops/common/square_matrices.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  c.set(0, c.type(0));
  return check_square(c);
}

/// The cofactor of the mirrored element over the determinant.
Result<Expr> formula(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t rank = c.input(0).rank();
  const int64_t n = c.input(0).dims[rank - 1];
  if (n > kMaxFormulaOrder) return unsupported(cat(c.node().describe(), ": matrices of order ", n));
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

}  // namespace

extern const OpDef op_inverse;
const OpDef op_inverse = {
    .name = "Inverse",
    .domain = "com.microsoft",
    .types = kFloats,
    .infer = infer,
    .expr = formula,
    .lower = [](LowerContext& ctx) { return lower_elimination(ctx, "inverse", 2); },
    .cpu_kernel = "inverse",
};

}  // namespace quern
