// quern.AppendCache, made by expansions: keys or values of earlier positions and new ones in one
// tensor [B, H, T, D]. Inputs: the cache so far (or absent), [B, H, P, D]; what is new, [B, S, H,
// D]; where it goes in each batch, i32 [B]; the length after it of the longest batch, one integer.
// T is the larger of that and P; positions past the new ones are 0, whatever the cache has there.
// Attributes: heads and first_head, where the new tensor has others too.
#include "ops/common/exprs.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"heads", AttributeKind::kInt},
    {"first_head", AttributeKind::kInt},
};

enum Input : size_t { kPast, kNew, kOffsets, kTotal };

Result<void> infer(InferContext& ctx) {
  QUERN_TRY(ctx.expect_rank(kNew, 4));
  const Shape* past = ctx.has_input(kPast) ? ctx.shape(kPast) : nullptr;
  if (past != nullptr) QUERN_TRY(ctx.expect_rank(kPast, 4));
  const Shape* added = ctx.shape(kNew);
  ctx.set(0, ctx.dtype(kNew), std::nullopt);
  if (added == nullptr || (ctx.has_input(kPast) && past == nullptr)) return {};
  Dim heads = (*added)[2];
  if (ctx.node().attribute("heads") != nullptr) heads = ctx.node().int_or("heads", 0);
  QUERN_TRY(ctx.expect_rank(kOffsets, 1));
  const Shape* offsets = ctx.shape(kOffsets);
  if (offsets != nullptr && proven_equal((*offsets)[0], (*added)[0]) == false) {
    return ctx.error(cat("offsets ", *offsets, " for rows ", *added));
  }
  if (past != nullptr &&
      (proven_equal((*past)[0], (*added)[0]) == false || proven_equal((*past)[1], heads) == false ||
       proven_equal((*past)[3], (*added)[3]) == false)) {
    return ctx.error(cat("a cache ", *past, " for rows ", *added));
  }
  const auto contents = ctx.contents(kTotal);
  Dim total;
  if (contents && contents->size() == 1) {
    // At least what is there.
    total = past != nullptr ? max((*past)[2], (*contents)[0]) : (*contents)[0];
  } else {
    total = ctx.fresh_dim(0, 2);
  }
  if (total.upper() < 0) return ctx.error(cat("a total length of ", total));
  ctx.set(0, ctx.dtype(kNew), Shape{(*added)[0], heads, total, (*added)[3]});
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  const Expr batch = ctx.index(0);
  const Expr head = ctx.index(1);
  const Expr t = ctx.index(2);
  const Expr d = ctx.index(3);
  const Expr at_offset[] = {batch};
  QUERN_ASSIGN(Expr offset, ctx.load(kOffsets, at_offset));
  const Expr row = b.sub(t, b.cast(offset, Scalar::kI32));
  const Expr rows = ctx.dim(kNew, 1);
  const Expr is_new = b.logical_and(b.binary(ExprOp::kGe, row, b.i32(0)), b.lt(row, rows));
  const Expr at_new[] = {batch, clamp_index(b, row, rows),
                         b.add(head, b.i32(ctx.node().int_or("first_head", 0))), d};
  QUERN_ASSIGN(Expr added, ctx.load(kNew, at_new));
  Expr old = b.number(added, 0);
  if (ctx.has_input(kPast)) {
    const size_t axes[] = {2};
    QUERN_ASSIGN(Expr past, load_or(ctx, kPast, {batch, head, t, d}, axes, old));
    old = b.select(b.lt(row, b.i32(0)), past, old);
  }
  return b.select(is_new, added, old);
}

}  // namespace

extern const OpDef op_append_cache;
const OpDef op_append_cache = {
    .name = "AppendCache",
    .domain = "quern",
    .since = 0,
    .min_inputs = 0,
    .max_inputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 1u << kTotal,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
