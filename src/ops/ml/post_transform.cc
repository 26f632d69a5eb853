// quern.PostTransform: scores [n, classes] made into something like probabilities. The attribute
// `transform` numbers them as ai.onnx.ml.TreeEnsemble does.
#include <numbers>

#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/ml.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"transform", AttributeKind::kInt, true}};

/// Winitzki's approximation of the inverse error function, as the models were made with it.
Expr inverse_erf(ExprBuilder& b, Expr x) {
  constexpr double kA = 0.147;
  const Expr sign = b.select(b.lt(x, zero(b, x)), b.number(x, -1), one(b, x));
  const Expr product = b.mul(b.sub(one(b, x), x), b.add(one(b, x), x));
  const Expr log = b.unary(ExprOp::kLog, product);
  const Expr v = b.add(b.number(x, 2 / (3.14159 * kA)), b.mul(b.number(x, 0.5), log));
  const Expr w = b.mul(b.number(x, 1 / kA), log);
  const Expr root = b.unary(ExprOp::kSqrt, b.sub(b.mul(v, v), w));
  return b.mul(sign, b.unary(ExprOp::kSqrt, b.sub(root, v)));
}

/// exp(x - largest); with `keep_zero`, what is almost 0 stays so.
Expr weight(ExprBuilder& b, Expr x, Expr largest, bool keep_zero, bool counted) {
  const Expr value = b.unary(ExprOp::kExp, b.sub(x, largest));
  if (!keep_zero) return value;
  const Expr is_zero = b.binary(ExprOp::kLe, b.unary(ExprOp::kAbs, x), b.number(x, 0.0000001));
  const Expr small = b.mul(x, b.unary(ExprOp::kExp, b.unary(ExprOp::kNeg, largest)));
  return b.select(is_zero, counted ? zero(b, x) : small, value);
}

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  QUERN_ASSIGN(const Expr x, c.load(0, c.indices()));
  const auto transform = static_cast<PostTransform>(c.node().int_or("transform", 0));
  switch (transform) {
    case PostTransform::kLogistic:
      return sigmoid(b, x);
    case PostTransform::kProbit: {
      const Expr centered = b.sub(b.mul(b.number(x, 2), x), one(b, x));
      return b.mul(b.number(x, std::numbers::sqrt2), inverse_erf(b, centered));
    }
    case PostTransform::kSoftmax:
    case PostTransform::kSoftmaxZero: {
      const bool keep_zero = transform == PostTransform::kSoftmaxZero;
      std::vector<Expr> at = c.indices();
      at[1] = b.loop();
      QUERN_ASSIGN(const Expr first, c.load(0, at));
      const Expr largest = b.reduce(ExprOp::kReduceMax, at[1], c.dim(0, 1), first);
      at[1] = b.loop();
      QUERN_ASSIGN(const Expr each, c.load(0, at));
      const Expr sum = b.reduce(ExprOp::kReduceSum, at[1], c.dim(0, 1),
                                weight(b, each, largest, keep_zero, true));
      return b.div(weight(b, x, largest, keep_zero, false), sum);
    }
    case PostTransform::kNone:
      break;
  }
  return x;
}

}  // namespace

extern const OpDef op_post_transform;
const OpDef op_post_transform = {
    .name = "PostTransform",
    .domain = "quern",
    .since = 0,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_TRY(c.expect_rank(0, 2));
      return infer_same(c);
    },
    .expr = expr,
};

}  // namespace quern
