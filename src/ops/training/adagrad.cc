// Adagrad: gradients over the root of the sum of all their squares so far.
#include "ops/common/optimizer.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"decay_factor", AttributeKind::kFloat},
                                          {"epsilon", AttributeKind::kFloat},
                                          {"norm_coefficient", AttributeKind::kFloat}};

Result<bool> expand(Graph& graph, Node& node) {
  OptimizerStep s(graph, node, 3);
  for (size_t i = 0; i < s.count(); ++i) {
    Value* x = s.tensor(0, i);
    Value* decay = s.times(s.updates(x), s.attribute("decay_factor", 0, x));
    Value* rate = s.over(s.rate(x), s.plus(s.number(x->type.dtype, 1), decay));
    Value* g = s.gradient(i);
    Value* squares = s.plus(s.tensor(2, i), s.times(g, g));
    Value* divisor = s.plus(s.op("Sqrt", {squares}), s.attribute("epsilon", 1e-6f, x));
    s.store(0, i, s.minus(x, s.times(rate, s.over(g, divisor))));
    s.store(1, i, squares);
  }
  s.finish();
  return true;
}

}  // namespace

extern const OpDef op_adagrad;
const OpDef op_adagrad = {
    .name = "Adagrad",
    .domain = kTrainingDomain,
    .min_inputs = 5,
    .max_inputs = kVariadic,
    .max_outputs = kVariadic,
    .types = kTrainingTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_optimizer(c, 3); },
    .expand = expand,
};

}  // namespace quern
