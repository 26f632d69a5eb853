// Det: determinants of the last two axes' matrices, by elimination with the largest pivot.
#include "ops/common/exprs.h"
#include "ops/common/square_matrices.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  QUERN_TRY(check_square(c));
  if (const Shape* x = c.shape(0)) c.set(0, c.dtype(0), Shape(x->begin(), x->end() - 2));
  return {};
}

/// Along the first row.
Result<Expr> formula(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t rank = c.input(0).rank();
  const int64_t n = c.input(0).dims[rank - 1];
  if (n > kMaxFormulaOrder) return unsupported(cat(c.node().describe(), ": matrices of order ", n));
  std::vector<Expr> at = c.indices();
  at.resize(rank);
  const auto element = [&](int64_t row, int64_t column) {
    at[rank - 2] = b.i32(row);
    at[rank - 1] = b.i32(column);
    return c.load(0, at);
  };
  if (n == 0) return b.constant(compute_type(c.input(0).dtype), 1);
  if (n == 1) return element(0, 0);
  Expr m[3][3];
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      QUERN_ASSIGN(m[i][j], element(i, j));
    }
  }
  const auto minor = [&](int64_t row, int64_t j, int64_t k) {
    return b.sub(b.mul(m[row][j], m[row + 1][k]), b.mul(m[row][k], m[row + 1][j]));
  };
  if (n == 2) return minor(0, 0, 1);
  const Expr first = b.mul(m[0][0], minor(1, 1, 2));
  const Expr second = b.mul(m[0][1], minor(1, 0, 2));
  return b.add(b.sub(first, second), b.mul(m[0][2], minor(1, 0, 1)));
}

}  // namespace

extern const OpDef op_det;
const OpDef op_det = {
    .name = "Det",
    .since = 11,
    .types = kFloats,
    .infer = infer,
    .expr = formula,
    .lower = [](LowerContext& ctx) { return lower_elimination(ctx, "det", 1); },
    .cpu_kernel = "det",
};

}  // namespace quern
