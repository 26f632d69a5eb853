// Pow: a to the power of b, in the type of a; b may have another type.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<Expr> power(ExprContext& c, size_t) {
  QUERN_ASSIGN(Expr x, c.load_broadcast(0));
  QUERN_ASSIGN(Expr y, c.load_broadcast(1));
  const Scalar type = c.b.type_of(x);
  if (is_integer(c.input(0).dtype) && is_float(c.input(1).dtype)) {
    const Scalar wide = c.b.type_of(y);
    return c.b.cast(c.b.binary(ExprOp::kPow, c.b.cast(x, wide), y), type);
  }
  return c.b.binary(ExprOp::kPow, x, c.b.cast(y, type));
}

}  // namespace

extern const OpDef op_pow;
const OpDef op_pow = {
    .name = "Pow",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .is_elementwise = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(std::optional<Shape> shape, broadcast_inputs(c));
      c.set(0, c.dtype(0), std::move(shape));
      return {};
    },
    .expr = power,
};

}  // namespace quern
