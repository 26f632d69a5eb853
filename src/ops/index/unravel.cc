// quern.Unravel: places in row-major order as indices. Inputs: places (integers [n]), and the
// shape that they count in (i64); output i64 [rank, n].
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  c.set(0, DType::kI64, std::nullopt);
  QUERN_TRY(c.expect_rank(0, 1));
  QUERN_TRY(c.expect_rank(1, 1));
  if (c.shape(0) == nullptr || c.shape(1) == nullptr) return {};
  c.set(0, DType::kI64, Shape{(*c.shape(1))[0], (*c.shape(0))[0]});
  return {};
}

Result<Expr> unraveled(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const HostTensor* shape = c.host(1);
  if (shape == nullptr) return c.error("the shape is not known");
  const Expr at[] = {c.index(1)};
  QUERN_ASSIGN(Expr rest, c.load(0, at));
  rest = b.cast(rest, Scalar::kI32);
  Expr result = b.i32(0);
  for (int64_t a = shape->count(); a-- > 0;) {
    Expr index = rest;
    if (a > 0) {
      const Expr extent = c.host_int(1, a);
      index = b.binary(ExprOp::kRem, rest, extent);
      rest = b.div(rest, extent);
    }
    result = b.select(b.eq(c.index(0), b.i32(a)), index, result);
  }
  return b.cast(result, Scalar::kI64);
}

}  // namespace

extern const OpDef op_unravel;
const OpDef op_unravel = {
    .name = "Unravel",
    .domain = "quern",
    .since = 0,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kInts,
    .host_inputs = 1 << 1,
    .infer = infer,
    .expr = unraveled,
};

}  // namespace quern
