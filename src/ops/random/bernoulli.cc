// Bernoulli: 1 with the probability given by the input, else 0.
#include "ops/common/random.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"dtype", AttributeKind::kInt},
                                          {"seed", AttributeKind::kFloat}};

Result<Expr> expr(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  QUERN_ASSIGN(const Expr p, c.load(0, c.indices()));
  const Expr high = b.constant_int(Scalar::kU32, 0);
  const RandomWords words = random_words(b, random_key(c.node()), element_number(c), high);
  const Expr is_one = b.lt(uniform(b, words.first, b.type_of(p)), p);
  return b.cast(is_one, compute_type(c.output(0).dtype));
}

}  // namespace

extern const OpDef op_bernoulli;
const OpDef op_bernoulli = {
    .name = "Bernoulli",
    .since = 15,
    .types = kFloats,
    .attributes = kAttributes,
    .is_random = true,
    .infer = [](InferContext& c) { return infer_random(c, c.dtype(0), c.type(0).shape); },
    .expr = expr,
};

}  // namespace quern
