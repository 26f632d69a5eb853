// BiasSplitGelu: x plus a bias along the last axis, cut in halves there; the left one times Gelu of
// the right one.
#include "ops/common/exprs.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  c.set(0, c.type(0));
  const Shape* x = c.shape(0);
  if (x == nullptr) return {};
  if (x->empty()) return c.error("x has no axes");
  Shape y = *x;
  y.back() = floor_div(y.back(), 2);
  c.set(0, c.dtype(0), std::move(y));
  return {};
}

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const size_t last = c.input(0).rank() - 1;
  const auto half = [&](Expr offset) -> Result<Expr> {
    std::vector<Expr> at = c.indices();
    at[last] = b.add(at[last], offset);
    QUERN_ASSIGN(Expr x, c.load(0, at));
    const Expr at_bias[] = {at[last]};
    QUERN_ASSIGN(Expr bias, c.load(1, at_bias));
    return b.add(x, bias);
  };
  QUERN_ASSIGN(Expr left, half(b.i32(0)));
  QUERN_ASSIGN(Expr right, half(c.output_dim(0, last)));
  return b.mul(left, gelu(b, right));
}

}  // namespace

extern const OpDef op_bias_split_gelu;
const OpDef op_bias_split_gelu = {
    .name = "BiasSplitGelu",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
