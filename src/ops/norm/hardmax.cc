// Hardmax: 1 at the first maximum along an axis, else 0; before version 13 over all axes from it
// on, as in a matrix.
#include "ops/common/norm_rows.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt}};

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  bool flatten = false;
  QUERN_ASSIGN(const size_t axis, softmax_axis(ctx, &flatten));
  const size_t rank = ctx.input(0).rank();
  const size_t end = flatten ? rank : std::min(axis + 1, rank);
  // The flat position among the axes of a row, of this element and of the reduction's.
  const Expr loop = b.loop();
  std::vector<Expr> at = ctx.indices();
  Expr position = b.i32(0);
  Expr extent = b.i32(1);
  for (size_t i = axis; i < end; ++i) {
    position = b.add(b.mul(position, ctx.dim(0, i)), ctx.index(i));
    extent = b.mul(extent, ctx.dim(0, i));
  }
  Expr rest = loop;
  for (size_t i = end; i-- > axis;) {
    at[i] = i == axis ? rest : b.binary(ExprOp::kRem, rest, ctx.dim(0, i));
    rest = b.div(rest, ctx.dim(0, i));
  }
  QUERN_ASSIGN(Expr x, ctx.load(0, at));
  const Expr top = b.reduce(ExprOp::kArgMaxFirst, loop, extent, x);
  return b.select(b.eq(position, top), b.number(x, 1), b.number(x, 0));
}

}  // namespace

extern const OpDef op_hardmax;
const OpDef op_hardmax = {
    .name = "Hardmax",
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_softmax,
    .expr = expr,
};

}  // namespace quern
