// Trilu: a triangle of each matrix, zeros outside of it. The diagonal is moved up by k.
#include <algorithm>

#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"upper", AttributeKind::kInt}};

Result<Expr> triangle(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t rank = c.input(0).rank();
  if (rank < 2) return c.error(cat("input has shape ", c.input(0).dims, ", expected matrices"));
  Expr k = b.i32(0);
  if (c.has_input(1)) {
    QUERN_ASSIGN(k, scalar_input(c, 1));
    // Clamped, so that the sum below stays inside i32.
    const Expr most = b.constant_int(b.type_of(k), 1 << 30);
    k = b.cast(b.max(b.min(k, most), b.unary(ExprOp::kNeg, most)), Scalar::kI32);
  }
  const Expr diagonal = b.add(c.index(rank - 2), k);
  const Expr column = c.index(rank - 1);
  const bool upper = c.node().int_or("upper", 1) != 0;
  const Expr inside = b.binary(upper ? ExprOp::kGe : ExprOp::kLe, column, diagonal);
  QUERN_ASSIGN(Expr x, c.load(0, c.indices()));
  return b.select(inside, x, zero_of(c, 0));
}

}  // namespace

extern const OpDef op_trilu;
const OpDef op_trilu = {
    .name = "Trilu",
    .since = 14,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_same,
    .expr = triangle,
    .eval = eval_moved,
};

}  // namespace quern
