// RotaryEmbedding: turns pairs of a head's first `rotary_embedding_dim` elements by angles that
// depend on the position. A pair is (2 j, 2 j + 1) where interleaved, else (j, j + half).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"interleaved", AttributeKind::kInt},
                                          {"num_heads", AttributeKind::kInt},
                                          {"rotary_embedding_dim", AttributeKind::kInt}};
enum Input : size_t { kX, kCos, kSin, kPositions };

Result<void> infer_rotary(InferContext& c) {
  c.set(0, c.type(kX));
  const Shape* x = c.shape(kX);
  if (x == nullptr) return {};
  if (x->size() != 3 && x->size() != 4) return c.error(cat("input ", *x, " must have rank 3 or 4"));
  const int64_t heads = c.node().int_or("num_heads", 0);
  if (x->size() == 3 && heads < 1) return c.error(cat("num_heads is ", heads, " for rank 3"));
  const int64_t rotary = c.node().int_or("rotary_embedding_dim", 0);
  if (rotary < 0 || rotary % 2 != 0) {
    return c.error(cat("rotary_embedding_dim is ", rotary, ", expected an even number"));
  }
  const size_t rank = c.has_input(kPositions) ? 2 : 3;
  QUERN_TRY(c.expect_rank(kCos, rank));
  QUERN_TRY(c.expect_rank(kSin, rank));
  return rank == 2 ? c.expect_rank(kPositions, 2) : Result<void>{};
}

/// An index into an axis that may be broadcast.
Expr broadcast_index(ExprContext& c, size_t input, size_t axis, Expr index) {
  const TensorInfo& info = c.input(input);
  if (info.is_baked(axis)) return info.dims[axis] == 1 ? c.b.i32(0) : index;
  return c.b.min(index, c.b.sub(c.dim(input, axis), c.b.i32(1)));
}

Result<Expr> rotary(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const TensorInfo& x = c.input(kX);
  const bool flat = x.rank() == 3;
  // Place of the element: batch, position, and which one of its head.
  const int64_t heads = flat ? c.node().int_or("num_heads", 1) : x.dims[1];
  const size_t last = x.rank() - 1;
  if (flat && (heads < 1 || x.dims[last] % heads != 0)) {
    return c.error(cat("input ", x.dims, " does not split into ", heads, " heads"));
  }
  const int64_t size = flat ? x.dims[last] / heads : x.dims[last];
  const bool baked = x.is_baked(last);
  const int64_t given = c.node().int_or("rotary_embedding_dim", 0);
  const int64_t turned = given == 0 ? size : given;
  if (turned > size || turned % 2 != 0 || c.input(kCos).dims.back() < turned / 2 ||
      c.input(kSin).dims.back() < turned / 2) {
    return c.error(cat("turns ", turned, " of ", size, " elements by caches of ",
                       c.input(kCos).dims, " and ", c.input(kSin).dims));
  }
  const Expr batch = c.index(0);
  const Expr position = flat ? c.index(1) : c.index(2);
  const Expr element =
      flat ? b.binary(ExprOp::kRem, c.index(2), c.derived(size, baked)) : c.index(3);
  const Expr limit = c.derived(turned, given != 0 || baked);
  const Expr half = c.derived(turned / 2, given != 0 || baked);

  const Expr inside = b.lt(element, limit);
  const Expr at = b.select(inside, element, b.i32(0));  // some pair, where it is not used
  Expr pair, partner, is_first;
  if (c.node().int_or("interleaved", 0) != 0) {
    const Expr odd = b.binary(ExprOp::kBitAnd, at, b.i32(1));
    pair = b.div(at, b.i32(2));
    is_first = b.eq(odd, b.i32(0));
    partner = b.binary(ExprOp::kBitXor, at, b.i32(1));
  } else {
    is_first = b.lt(at, half);
    pair = b.select(is_first, at, b.sub(at, half));
    partner = b.select(is_first, b.add(at, half), pair);
  }
  std::vector<Expr> other = c.indices();
  other.back() = b.add(other.back(), b.sub(partner, at));
  // The element itself lies at `element`, not `at`, where no pair is turned.
  other.back() = b.select(inside, other.back(), c.indices().back());

  std::vector<Expr> angle;
  if (c.has_input(kPositions)) {
    const Expr which[] = {broadcast_index(c, kPositions, 0, batch),
                          broadcast_index(c, kPositions, 1, position)};
    QUERN_ASSIGN(const Expr p, c.load(kPositions, which));
    angle = {wrap_index(b, p, c.dim(kCos, 0)), pair};
  } else {
    angle = {broadcast_index(c, kCos, 0, batch), broadcast_index(c, kCos, 1, position), pair};
  }
  QUERN_ASSIGN(const Expr value, c.load(kX, c.indices()));
  if (turned == 0 && (given != 0 || baked)) return value;
  QUERN_ASSIGN(const Expr mate, c.load(kX, other));
  QUERN_ASSIGN(const Expr cos, c.load(kCos, angle));
  QUERN_ASSIGN(const Expr sin, c.load(kSin, angle));
  const Expr side = b.mul(mate, sin);
  const Expr sum = b.add(b.mul(value, cos), b.select(is_first, b.unary(ExprOp::kNeg, side), side));
  return b.select(inside, sum, value);
}

}  // namespace

extern const OpDef op_rotary_embedding;
const OpDef op_rotary_embedding = {
    .name = "RotaryEmbedding",
    .since = 23,
    .min_inputs = 3,
    .max_inputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_rotary,
    .expr = rotary,
};

}  // namespace quern
