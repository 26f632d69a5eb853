// quern.NgramLookup: the outputs of all n-grams of each row: of every length, every number of
// elements skipped between neighbours, and every start; `outputs` where there is none. Each walks a
// trie (common/ngrams.h) whose edges are searched by halving.
#include <bit>

#include "ops/common/exprs.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"min_length", AttributeKind::kInt, true},
                                          {"max_length", AttributeKind::kInt, true},
                                          {"max_skip", AttributeKind::kInt, true},
                                          {"outputs", AttributeKind::kInt, true}};

/// How many variants of an n-gram begin at one element: single elements have no skips.
struct Variants {
  int64_t singles;
  int64_t skips;
  int64_t lengths;  ///< of those with skips
  int64_t first;    ///< the shortest of those
  [[nodiscard]] int64_t count() const { return singles + skips * lengths; }
};
Variants variants(const Node& node) {
  const int64_t least = node.int_or("min_length", 1);
  const int64_t most = node.int_or("max_length", 1);
  const int64_t first = std::max<int64_t>(least, 2);
  return {least == 1 ? 1 : 0, node.int_or("max_skip", 0) + 1,
          std::max<int64_t>(most - first + 1, 0), first};
}

Result<void> infer(InferContext& c) {
  c.set(0, DType::kI32, std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  QUERN_TRY(c.expect_rank(0, 2));
  c.set(0, DType::kI32, Shape{(*shape)[0], (*shape)[1] * variants(c.node()).count()});
  return {};
}

class Search {
 public:
  explicit Search(ExprContext& c) : c_(c), b_(c.b), edges_(c.input(1).dims[0]) {}

  /// The state after `state` and `element`; `edges + 1`th, that is none, stays none: -1.
  Result<Expr> step(Expr state, Expr element) {
    Expr below = b_.i32(0);
    for (auto step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(edges_))); step > 0;
         step /= 2) {
      const Expr next = b_.add(below, b_.i32(step));
      const Expr before = b_.sub(next, b_.i32(1));
      QUERN_ASSIGN(const Expr from, edge(1, before));
      QUERN_ASSIGN(const Expr by, edge(2, before));
      const Expr smaller =
          b_.logical_or(b_.lt(from, state), b_.logical_and(b_.eq(from, state), b_.lt(by, element)));
      below = b_.select(b_.logical_and(b_.lt(next, b_.i32(edges_ + 1)), smaller), next, below);
    }
    QUERN_ASSIGN(const Expr from, edge(1, below));
    QUERN_ASSIGN(const Expr by, edge(2, below));
    QUERN_ASSIGN(const Expr target, edge(3, below));
    const Expr here = b_.logical_and(b_.eq(from, state), b_.eq(by, element));
    return b_.select(b_.logical_and(b_.lt(below, b_.i32(edges_)), here), target, b_.i32(-1));
  }

  Result<Expr> output(Expr state) {
    const Expr inside[] = {clamp_index(b_, state, c_.dim(4, 0))};
    QUERN_ASSIGN(const Expr found, c_.load(4, inside));
    return b_.select(b_.lt(state, b_.i32(0)), b_.i32(-1), found);
  }

 private:
  Result<Expr> edge(size_t input, Expr at) {
    const Expr inside[] = {clamp_index(b_, at, b_.i32(edges_))};
    return c_.load(input, inside);
  }

  ExprContext& c_;
  ExprBuilder& b_;
  int64_t edges_;
};

Result<Expr> lookup(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const Variants v = variants(c.node());
  const Expr none = b.i32(c.node().int_or("outputs", 0));
  const int64_t edges = c.input(1).dims[0];
  if (edges == 0 || v.count() == 0 || c.input(0).count() == 0) return none;
  // Along axis 1: singles, then lengths, then skips, then starts.
  const Expr columns = c.dim(0, 1);
  const Expr start = b.binary(ExprOp::kRem, c.index(1), columns);
  const Expr variant = b.div(c.index(1), columns);
  const Expr skipping = b.sub(variant, b.i32(v.singles));
  const Expr is_single = b.lt(skipping, b.i32(0));
  const Expr length =
      b.select(is_single, b.i32(1), b.add(b.div(skipping, b.i32(v.skips)), b.i32(v.first)));
  const Expr stride =
      b.select(is_single, b.i32(1),
               b.add(b.binary(ExprOp::kRem, b.max(skipping, b.i32(0)), b.i32(v.skips)), b.i32(1)));

  Search search(c);
  Expr state = b.i32(0);
  Expr result = b.i32(-1);
  const int64_t most = v.lengths > 0 ? v.first + v.lengths - 1 : 1;
  for (int64_t k = 0; k < most; ++k) {
    const Expr at = b.add(start, b.mul(stride, b.i32(k)));
    const Expr index[] = {c.index(0), clamp_index(b, at, columns)};
    QUERN_ASSIGN(const Expr element, c.load(0, index));
    QUERN_ASSIGN(const Expr next, search.step(state, element));
    // Past the row's end there is nothing.
    state = b.select(b.lt(at, columns), next, b.i32(-1));
    QUERN_ASSIGN(const Expr output, search.output(state));
    result = b.select(b.eq(length, b.i32(k + 1)), output, result);
  }
  return b.select(b.lt(result, b.i32(0)), none, result);
}

}  // namespace

extern const OpDef op_ngram_lookup;
const OpDef op_ngram_lookup = {
    .name = "NgramLookup",
    .domain = "quern",
    .min_inputs = 5,
    .max_inputs = 5,
    .types = type_bit(DType::kI32),
    .attributes = kAttributes,
    .infer = infer,
    .expr = lookup,
};

}  // namespace quern
