// Adam: running means of gradients and of their squares, corrected for their start at 0.
#include "ops/common/optimizer.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"alpha", AttributeKind::kFloat},
    {"beta", AttributeKind::kFloat},
    {"epsilon", AttributeKind::kFloat},
    {"norm_coefficient", AttributeKind::kFloat},
    {"norm_coefficient_post", AttributeKind::kFloat},
};

Result<bool> expand(Graph& graph, Node& node) {
  OptimizerStep s(graph, node, 4);
  for (size_t i = 0; i < s.count(); ++i) {
    Value* x = s.tensor(0, i);
    Value* one = s.number(x->type.dtype, 1);
    Value* zero = s.number(x->type.dtype, 0);
    Value* alpha = s.attribute("alpha", 0.9f, x);
    Value* beta = s.attribute("beta", 0.999f, x);
    Value* g = s.gradient(i);
    Value* mean = s.plus(s.times(alpha, s.tensor(2, i)), s.times(s.minus(one, alpha), g));
    Value* square =
        s.plus(s.times(beta, s.tensor(3, i)), s.times(s.minus(one, beta), s.times(g, g)));
    Value* t = s.updates(x);
    const auto correction = [&](Value* decay) { return s.minus(one, s.op("Pow", {decay, t})); };
    Value* rate = s.rate(x);
    Value* corrected = s.over(s.times(rate, s.op("Sqrt", {correction(beta)})), correction(alpha));
    rate = s.op("Where", {s.op("Greater", {t, zero}), corrected, rate});
    Value* divisor = s.plus(s.op("Sqrt", {square}), s.attribute("epsilon", 1e-6f, x));
    Value* next = s.minus(x, s.times(rate, s.over(mean, divisor)));
    Value* kept = s.minus(one, s.attribute("norm_coefficient_post", 0, x));
    s.store(0, i, s.times(kept, next));
    s.store(1, i, mean);
    s.store(2, i, square);
  }
  s.finish();
  return true;
}

}  // namespace

extern const OpDef op_adam;
const OpDef op_adam = {
    .name = "Adam",
    .domain = kTrainingDomain,
    .min_inputs = 6,
    .max_inputs = kVariadic,
    .max_outputs = kVariadic,
    .types = kTrainingTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_optimizer(c, 4); },
    .expand = expand,
};

}  // namespace quern
