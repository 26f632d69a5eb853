#include "ops/common/window_function.h"

#include <numbers>

#include "ops/common/exprs.h"
#include "ops/common/types.h"

namespace quern {

Result<void> infer_window(InferContext& c) {
  const int64_t code = c.node().int_or("output_datatype", 1);
  if (code < 0 || code > 31 || (kNumeric >> code & 1) == 0) {
    return c.error(cat("output_datatype ", code, " is not numeric"));
  }
  const auto dtype = static_cast<DType>(code);
  Dim size = c.fresh_dim(0, 0);
  if (const auto contents = c.contents(0)) {
    if (contents->size() != 1) return c.error("size is not one number");
    if ((*contents)[0].upper() < 0) return c.error("size is negative");
    if ((*contents)[0].lower() >= 0) size = (*contents)[0];
  }
  c.set(0, dtype, Shape{size});
  return {};
}

Result<Expr> window_expr(ExprContext& c, double c0, double c1, double c2) {
  ExprBuilder& b = c.b;
  const bool periodic = c.node().int_or("periodic", 1) != 0;
  const DType dtype = c.output(0).dtype;
  const Scalar type = dtype == DType::kF64 ? Scalar::kF64 : Scalar::kF32;
  Expr period = c.output_dim(0, 0);
  if (!periodic) period = b.sub(period, b.i32(1));
  // By symmetry from the nearer end, so that the angle is at most a right one.
  const Expr n = b.min(c.index(0), b.sub(period, c.index(0)));
  const Expr part = b.div(b.cast(n, type), b.cast(period, type));
  const Expr sine = b.unary(ExprOp::kSin, b.mul(b.number(part, std::numbers::pi), part));
  const Expr s = b.mul(sine, sine);
  Expr y = b.add(b.mul(b.number(s, c2), s), b.number(s, c1));
  y = b.add(b.mul(y, s), b.number(s, c0));
  return b.cast(y, compute_type(dtype));
}

}  // namespace quern
