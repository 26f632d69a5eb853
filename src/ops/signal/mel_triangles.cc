// quern.MelTriangles: for each three corners in a row a column that rises from 0 at the first to 1
// at the second and falls to 0 at the third.
#include "ops/common/exprs.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"to", AttributeKind::kInt, true}};

Result<void> infer(InferContext& c) {
  const Shape* corners = c.shape(0);
  Dim rows = c.fresh_dim(0, 0);
  if (const auto contents = c.contents(1); contents && contents->size() == 1) {
    if ((*contents)[0].upper() < 0) return c.error("dft_length is negative");
    if ((*contents)[0].lower() >= 0) rows = floor_div((*contents)[0], 2) + 1;
  }
  QUERN_TRY(c.expect_rank(0, 1));
  c.set(0, static_cast<DType>(c.node().int_or("to", 1)),
        Shape{rows, corners != nullptr ? (*corners)[0] - 2 : c.fresh_dim(0, 1)});
  return {};
}

Result<Expr> triangle(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  Expr corner[3];
  for (int k = 0; k < 3; ++k) {
    const Expr at[] = {b.add(c.index(1), b.i32(k))};
    QUERN_ASSIGN(corner[k], c.load(0, at));
  }
  const auto [left, top, right] = corner;
  const Expr row = c.index(0);
  const auto part = [&](Expr a, Expr whole) {
    return b.div(b.cast(a, Scalar::kF32), b.cast(b.max(whole, b.i32(1)), Scalar::kF32));
  };
  const Expr none = b.constant(Scalar::kF32, 0);
  const Expr rise =
      b.select(b.eq(left, top), b.select(b.eq(row, top), b.constant(Scalar::kF32, 1), none),
               b.select(b.logical_or(b.lt(row, left), b.lt(top, row)), none,
                        part(b.sub(row, left), b.sub(top, left))));
  const Expr falls = b.logical_and(b.logical_not(b.lt(row, top)), b.lt(row, right));
  const Expr y = b.select(falls, part(b.sub(right, row), b.sub(right, top)), rise);
  return b.cast(y, compute_type(c.output(0).dtype));
}

}  // namespace

extern const OpDef op_mel_triangles;
const OpDef op_mel_triangles = {
    .name = "MelTriangles",
    .domain = "quern",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = type_bit(DType::kI32),
    .attributes = kAttributes,
    .host_inputs = 0b10,
    .infer = infer,
    .expr = triangle,
};

}  // namespace quern
