#include "ops/common/matmul.h"

#include <algorithm>

namespace quern {
namespace {

bool is_transposed(const Node& node, std::string_view which, size_t rank) {
  return rank > 1 && node.int_or(which, 0) != 0;
}

}  // namespace

Result<std::optional<Shape>> matmul_shape(const InferContext& ctx, size_t a_input, size_t b_input) {
  const Shape* a = ctx.shape(a_input);
  const Shape* b = ctx.shape(b_input);
  if (a == nullptr || b == nullptr) return std::nullopt;
  if (a->empty() || b->empty()) return ctx.error("operands must have at least one axis");
  // Axes counted from the end: of rows and depth of a, depth and columns of b.
  const size_t ta = is_transposed(ctx.node(), "transA", a->size()) ? 1 : 0;
  const size_t tb = is_transposed(ctx.node(), "transB", b->size()) ? 1 : 0;
  const auto from_end = [](const Shape& s, size_t i) { return s[s.size() - 1 - i]; };
  const Dim ka = from_end(*a, ta);
  const Dim kb = b->size() == 1 ? b->front() : from_end(*b, 1 - tb);
  if (proven_equal(ka, kb) == false) {
    return ctx.error(cat("inner extents differ: ", *a, " x ", *b));
  }
  const Shape a_batch(a->begin(), a->end() - std::min<ptrdiff_t>(2, std::ssize(*a)));
  const Shape b_batch(b->begin(), b->end() - std::min<ptrdiff_t>(2, std::ssize(*b)));
  auto y = broadcast_shapes(a_batch, b_batch);
  if (!y) return ctx.error(std::move(y).error().message);
  if (a->size() > 1) y->push_back(from_end(*a, 1 - ta));
  if (b->size() > 1) y->push_back(from_end(*b, tb));
  return *std::move(y);
}

MatMulTerm matmul_term(ExprContext& ctx, size_t a, size_t b) {
  ExprBuilder& e = ctx.b;
  const size_t ra = ctx.input(a).rank();
  const size_t rb = ctx.input(b).rank();
  const size_t batch = std::max(ra, rb) > 2 ? std::max(ra, rb) - 2 : 0;
  const bool ta = is_transposed(ctx.node(), "transA", ra);
  const bool tb = is_transposed(ctx.node(), "transB", rb);
  MatMulTerm t;
  t.k = e.loop();
  t.depth = ctx.dim(a, ta ? ra - 2 : ra - 1);
  // Along batch axis `axis` of an operand that has `own` of them: 0 where it is broadcast.
  const auto batch_index = [&](size_t input, size_t axis, size_t own) {
    return e.min(ctx.index(batch - own + axis), e.sub(ctx.dim(input, axis), e.i32(1)));
  };
  for (size_t i = 0; i + 2 < ra; ++i) t.at_a.push_back(batch_index(a, i, ra - 2));
  if (ra > 1) t.at_a.push_back(ctx.index(batch));
  t.at_a.push_back(t.k);
  if (ta) std::swap(t.at_a[ra - 2], t.at_a[ra - 1]);
  for (size_t i = 0; i + 2 < rb; ++i) t.at_b.push_back(batch_index(b, i, rb - 2));
  t.at_b.push_back(t.k);
  if (rb > 1) t.at_b.push_back(ctx.index(batch + (ra > 1 ? 1 : 0)));
  if (tb) std::swap(t.at_b[rb - 2], t.at_b[rb - 1]);
  return t;
}

MatMulSizes matmul_sizes(const Node& node, const Dims& a, const Dims& b) {
  const bool ta = is_transposed(node, "transA", a.size());
  const bool tb = is_transposed(node, "transB", b.size());
  MatMulSizes s;
  s.k = ta ? a[a.size() - 2] : a.back();
  s.m = a.size() > 1 ? a[a.size() - (ta ? 1 : 2)] : 1;
  s.n = b.size() > 1 ? b[b.size() - (tb ? 2 : 1)] : 1;
  s.a_row = ta ? 1 : s.k;
  s.a_col = ta ? s.m : 1;
  s.b_row = tb ? 1 : s.n;
  s.b_col = tb ? s.k : 1;
  s.batch = batch_axes(batch_dims(a), batch_dims(b), s.m * s.k, s.k * s.n);
  return s;
}

GemmCall matmul_call(LowerContext& ctx, size_t a, size_t b) {
  MatMulSizes s = matmul_sizes(ctx.node(), ctx.input(a).dims, ctx.input(b).dims);
  GemmCall g{.a = ctx.bind_in("a", a), .b = ctx.bind_in("b", b), .y = ctx.bind_out("y", 0)};
  g.m = s.m;
  g.n = s.n;
  g.k = s.k;
  g.a_row = s.a_row;
  g.a_col = s.a_col;
  g.b_row = s.b_row;
  g.b_col = s.b_col;
  g.batch = std::move(s.batch);
  const TensorInfo& y = ctx.output(0);
  const bool fixed = y.is_baked_from(0);
  const TensorInfo& left = ctx.input(a);
  const bool deep = left.rank() > 1 && ctx.node().int_or("transA", 0) != 0;
  const bool column = ctx.input(b).rank() == 1;
  Varies varies;
  varies.any = !fixed || !left.is_baked(left.rank() - (deep ? 2 : 1));
  varies.m = !fixed;  // rows of the batch may become rows of the matrix
  varies.n = !column && !y.is_baked(y.rank() - 1);
  g.varies = varies;
  return g;
}

}  // namespace quern
