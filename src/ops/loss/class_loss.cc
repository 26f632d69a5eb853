// quern.ClassLoss: the negative of each target's score, times its weight. Inputs: scores
// [n, classes, ...], targets (i32 or i64 [n, ...]), weights ([classes], optional). Outputs, f32 (or
// f64): losses [n, ...] and the weights of the targets [n, ...]; both 0 where the target is
// `ignore_index`.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"ignore_index", AttributeKind::kInt}};
enum Input : size_t { kScores, kTargets, kWeights };

Result<void> infer(InferContext& c) {
  const DType type = c.dtype(kScores) == DType::kF64 ? DType::kF64 : DType::kF32;
  c.set(0, type, c.type(kTargets).shape);
  c.set(1, type, c.type(kTargets).shape);
  const Shape* scores = c.shape(kScores);
  if (scores == nullptr) return {};
  if (scores->size() < 2) return c.error(cat("scores ", *scores, " have no axis of classes"));
  QUERN_TRY(c.expect_rank(kTargets, scores->size() - 1));
  return c.has_input(kWeights) ? c.expect_rank(kWeights, 1) : Result<void>{};
}

Result<Expr> expr(ExprContext& c, size_t output) {
  ExprBuilder& b = c.b;
  const Dims& scores = c.input(kScores).dims;
  Dims expected = c.input(kTargets).dims;
  expected.insert(expected.begin() + 1, scores[1]);
  if (scores != expected || (c.has_input(kWeights) && c.input(kWeights).dims[0] != scores[1])) {
    return c.error(cat("scores ", scores, " for targets ", c.input(kTargets).dims));
  }
  QUERN_ASSIGN(const Expr target, c.load(kTargets, c.indices()));
  const Scalar type = compute_type(c.output(output).dtype);
  const Expr place = wrap_index(b, target, c.dim(kScores, 1));
  Expr weight = b.constant(type, 1);
  if (c.has_input(kWeights)) {
    const Expr at[] = {place};
    QUERN_ASSIGN(weight, c.load(kWeights, at));
    weight = b.cast(weight, type);
  }
  Expr result = weight;
  if (output == 0) {
    std::vector<Expr> at = c.indices();
    at.insert(at.begin() + 1, place);
    QUERN_ASSIGN(const Expr score, c.load(kScores, at));
    result = b.unary(ExprOp::kNeg, b.mul(b.cast(score, type), weight));
  }
  if (c.node().attribute("ignore_index") == nullptr) return result;
  const Expr ignored = b.constant_int(b.type_of(target), c.node().int_or("ignore_index", -1));
  return b.select(b.eq(target, ignored), b.number(result, 0), result);
}

}  // namespace

extern const OpDef op_class_loss;
const OpDef op_class_loss = {
    .name = "ClassLoss",
    .domain = "quern",
    .since = 0,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
