// quern.LeafSums: what the leaves of all trees add up to, for each row and target. Inputs: leaves
// (i32 [n, trees]), begins (i32 [leaves + 1]), targets (i32) and weights, common/forest.h. The
// attribute `form`: 2 where each leaf has a weight for each target, 1 where each has one weight, 0
// for any, at most `longest` a leaf. Output [n, targets] in the type of the weights; a target that
// no leaf names gets 0.
#include "ops/common/exprs.h"
#include "ops/common/forest.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"aggregate", AttributeKind::kInt},
                                          {"form", AttributeKind::kInt},
                                          {"longest", AttributeKind::kInt},
                                          {"targets", AttributeKind::kInt}};
enum Input : size_t { kLeaves, kBegins, kTargets, kWeights };

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(kLeaves, 2));
  c.set(0, c.dtype(kWeights), std::nullopt);
  if (c.shape(kLeaves) == nullptr) return {};
  c.set(0, c.dtype(kWeights), Shape{(*c.shape(kLeaves))[0], c.node().int_or("targets", 1)});
  return {};
}

Result<Expr> element(ExprContext& c, size_t input, Expr index) {
  const Expr at[] = {index};
  return c.load(input, at);
}

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const auto aggregate = static_cast<LeafAggregate>(c.node().int_or("aggregate", 1));
  const bool least = aggregate == LeafAggregate::kMin;
  const bool greatest = aggregate == LeafAggregate::kMax;
  const ExprOp op = least ? ExprOp::kReduceMin : greatest ? ExprOp::kReduceMax : ExprOp::kReduceSum;
  const Scalar type = compute_type(c.input(kWeights).dtype);
  // What stands for no weight: past every weight (infinity is no number in WGSL).
  constexpr double kNothing = 3.4e38;
  const Expr nothing = b.constant(type, least ? kNothing : greatest ? -kNothing : 0.0);
  const Expr tree = b.loop();
  const Expr leaf_at[] = {c.index(0), tree};
  QUERN_ASSIGN(const Expr leaf, c.load(kLeaves, leaf_at));
  QUERN_ASSIGN(const Expr begin, element(c, kBegins, leaf));
  const int64_t form = c.node().int_or("form", 0);
  Expr own;
  if (form == 2) {
    QUERN_ASSIGN(own, element(c, kWeights, b.add(begin, c.index(1))));
  } else {
    const auto matching = [&](Expr place) -> Result<Expr> {
      QUERN_ASSIGN(const Expr target, element(c, kTargets, place));
      QUERN_ASSIGN(const Expr weight, element(c, kWeights, place));
      return b.select(b.eq(target, c.index(1)), weight, nothing);
    };
    if (form == 1) {
      QUERN_ASSIGN(own, matching(begin));
    } else {
      QUERN_ASSIGN(const Expr end, element(c, kBegins, b.add(leaf, b.i32(1))));
      const Expr entry = b.loop();
      const Expr place = b.add(begin, entry);
      const Expr last = b.sub(c.dim(kWeights, 0), b.i32(1));
      QUERN_ASSIGN(const Expr weight, matching(b.min(place, last)));
      own = b.reduce(op, entry, b.i32(c.node().int_or("longest", 0)),
                     b.select(b.lt(place, end), weight, nothing));
    }
  }
  const Expr trees = c.dim(kLeaves, 1);
  Expr result = b.reduce(op, tree, trees, own);
  if (aggregate == LeafAggregate::kAverage) return b.div(result, b.cast(trees, type));
  if (least || greatest) {
    const Expr size = b.unary(ExprOp::kAbs, result);
    result = b.select(b.lt(size, b.constant(type, kNothing * 0.99)), result, b.constant(type, 0));
  }
  return result;
}

}  // namespace

extern const OpDef op_leaf_sums;
const OpDef op_leaf_sums = {
    .name = "LeafSums",
    .domain = "quern",
    .since = 0,
    .min_inputs = 4,
    .max_inputs = 4,
    .types = type_bit(DType::kI32),
    .attributes = kAttributes,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
