// Multinomial: classes drawn by their logarithms of probabilities [batch, classes]. To each is
// added noise of the Gumbel distribution: the greatest sum is at a class with its probability.
#include "ops/common/random.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"dtype", AttributeKind::kInt},
                                          {"sample_size", AttributeKind::kInt},
                                          {"seed", AttributeKind::kFloat}};

Result<void> infer(InferContext& c) {
  QUERN_TRY(c.expect_rank(0, 2));
  const int64_t samples = c.node().int_or("sample_size", 1);
  if (samples < 0 || samples > INT32_MAX) return c.error(cat("sample_size is ", samples));
  const Dim batch = c.shape(0) != nullptr ? (*c.shape(0))[0] : c.fresh_dim(0, 0);
  return infer_random(c, DType::kI32, Shape{batch, samples});
}

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  const Expr variable = b.loop();
  const Expr at[] = {c.index(0), variable};
  QUERN_ASSIGN(const Expr score, c.load(0, at));
  const Scalar type = b.type_of(score);
  const RandomWords words =
      random_words(b, random_key(c.node()), element_number(c), b.cast(variable, Scalar::kU32));
  // In (0, 1): both logarithms are finite.
  const Expr even = b.add(uniform(b, words.first, type), b.constant(type, 0x1p-25));
  const auto minus_log = [&](Expr x) { return b.unary(ExprOp::kNeg, b.unary(ExprOp::kLog, x)); };
  const Expr noise = minus_log(minus_log(even));
  const Expr best = b.reduce(ExprOp::kArgMaxFirst, variable, c.dim(0, 1), b.add(score, noise));
  return b.cast(best, compute_type(c.output(0).dtype));
}

}  // namespace

extern const OpDef op_multinomial;
const OpDef op_multinomial = {
    .name = "Multinomial",
    .types = kFloats,
    .attributes = kAttributes,
    .is_random = true,
    .infer = infer,
    .expr = expr,
};

}  // namespace quern
