// quern.Rotary, made by expansions: rotates pairs of elements of each head by angles that grow with
// the position. Inputs: x, [B, H, S, D] or (rows_first_in) [B, S, H, D]; positions, [B or 1, S], or
// (starts) those of row 0, [B or 1]; cosines and sines, [positions, R / 2]. Elements from R on
// stay. Attributes: interleaved (pairs are neighbours, not half a rotation apart); heads and
// first_head (x has others too); rows_first_out.
#include "ops/common/exprs.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"interleaved", AttributeKind::kInt},   {"starts", AttributeKind::kInt},
    {"heads", AttributeKind::kInt},         {"first_head", AttributeKind::kInt},
    {"rows_first_in", AttributeKind::kInt}, {"rows_first_out", AttributeKind::kInt},
};

enum Input : size_t { kX, kPositions, kCos, kSin };

bool flag(const Node& node, std::string_view name) { return node.int_or(name, 0) != 0; }

Result<void> infer(InferContext& ctx) {
  QUERN_TRY(ctx.expect_rank(kX, 4));
  QUERN_TRY(ctx.expect_rank(kCos, 2));
  QUERN_TRY(ctx.expect_rank(kSin, 2));
  ctx.set(0, ctx.dtype(kX), std::nullopt);
  const Shape* x = ctx.shape(kX);
  const Shape* cos = ctx.shape(kCos);
  const Shape* sin = ctx.shape(kSin);
  if (cos != nullptr && sin != nullptr &&
      (proven_equal((*cos)[0], (*sin)[0]) == false ||
       proven_equal((*cos)[1], (*sin)[1]) == false)) {
    return ctx.error(cat("cosines ", *cos, " and sines ", *sin));
  }
  if (x == nullptr) return {};
  const bool rows_in = flag(ctx.node(), "rows_first_in");
  Dim heads = (*x)[rows_in ? 2 : 1];
  if (ctx.node().attribute("heads") != nullptr) heads = ctx.node().int_or("heads", 0);
  const Dim rows = (*x)[rows_in ? 1 : 2];
  const bool rows_out = flag(ctx.node(), "rows_first_out");
  ctx.set(0, ctx.dtype(kX),
          rows_out ? Shape{(*x)[0], rows, heads, (*x)[3]} : Shape{(*x)[0], heads, rows, (*x)[3]});
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const bool rows_out = flag(ctx.node(), "rows_first_out");
  const Expr batch = ctx.index(0);
  const Expr row = ctx.index(rows_out ? 1 : 2);
  const Expr head = b.add(ctx.index(rows_out ? 2 : 1), b.i32(ctx.node().int_or("first_head", 0)));
  const Expr d = ctx.index(3);
  const auto load_x = [&](Expr element) {
    const bool rows_in = flag(ctx.node(), "rows_first_in");
    const Expr at[] = {batch, rows_in ? row : head, rows_in ? head : row, element};
    return ctx.load(kX, at);
  };
  // The position.
  const auto held = [&](Expr index, size_t axis) {
    return b.min(index, b.sub(ctx.dim(kPositions, axis), b.i32(1)));
  };
  const bool starts = flag(ctx.node(), "starts");
  const size_t rank = ctx.input(kPositions).rank();
  if (rank > 2 || (rank == 2) == starts) {
    return ctx.error(cat("positions ", ctx.input(kPositions).dims));
  }
  std::vector<Expr> at;
  if (rank == 2) at = {held(batch, 0), held(row, 1)};
  if (rank == 1) at = {held(batch, 0)};
  QUERN_ASSIGN(Expr position, ctx.load(kPositions, at));
  position = b.cast(position, Scalar::kI32);
  if (starts) position = b.add(position, row);
  position = clamp_index(b, position, ctx.dim(kCos, 0));
  // The pair of element d, and which of it d is.
  const Expr half = ctx.dim(kCos, 1);
  const bool interleaved = flag(ctx.node(), "interleaved");
  const Expr two = b.i32(2);
  const Expr is_first =
      interleaved ? b.eq(b.binary(ExprOp::kRem, d, two), b.i32(0)) : b.lt(d, half);
  const Expr pair = interleaved ? b.div(d, two) : b.select(is_first, d, b.sub(d, half));
  const Expr distance = interleaved ? b.i32(1) : half;
  const Expr partner =
      clamp_index(b, b.select(is_first, b.add(d, distance), b.sub(d, distance)), ctx.dim(kX, 3));
  const Expr angle[] = {position, clamp_index(b, pair, half)};
  QUERN_ASSIGN(Expr cos, ctx.load(kCos, angle));
  QUERN_ASSIGN(Expr sin, ctx.load(kSin, angle));
  QUERN_ASSIGN(Expr x, load_x(d));
  QUERN_ASSIGN(Expr other, load_x(partner));
  const Expr side = b.mul(other, sin);
  const Expr turned = b.add(b.mul(x, cos), b.select(is_first, b.unary(ExprOp::kNeg, side), side));
  return b.select(b.lt(d, b.mul(half, two)), turned, x);
}

}  // namespace

extern const OpDef op_rotary;
const OpDef op_rotary = {
    .name = "Rotary",
    .domain = "quern",
    .since = 0,
    .min_inputs = 4,
    .max_inputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
