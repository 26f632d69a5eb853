// Momentum: steps along a decaying sum of gradients, with Nesterov's variant.
#include "ops/common/optimizer.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat, true},
                                          {"beta", AttributeKind::kFloat, true},
                                          {"mode", AttributeKind::kString, true},
                                          {"norm_coefficient", AttributeKind::kFloat, true}};

Result<void> infer(InferContext& c) {
  const std::string_view mode = c.node().string_or("mode", "");
  if (mode != "standard" && mode != "nesterov") {
    return c.error(cat("mode is '", mode, "', expected standard or nesterov"));
  }
  return infer_optimizer(c, 3);
}

Result<bool> expand(Graph& graph, Node& node) {
  OptimizerStep s(graph, node, 3);
  const bool nesterov = node.string_or("mode", "") == "nesterov";
  for (size_t i = 0; i < s.count(); ++i) {
    Value* x = s.tensor(0, i);
    Value* alpha = s.attribute("alpha", 0, x);
    Value* g = s.gradient(i);
    Value* one = s.number(x->type.dtype, 1);
    Value* started = s.op("Greater", {s.updates(x), s.number(x->type.dtype, 0)});
    Value* beta = s.op("Where", {started, s.attribute("beta", 0, x), one});
    Value* sum = s.plus(s.times(alpha, s.tensor(2, i)), s.times(beta, g));
    Value* direction = nesterov ? s.plus(g, s.times(alpha, sum)) : sum;
    s.store(0, i, s.minus(x, s.times(s.rate(x), direction)));
    s.store(1, i, sum);
  }
  s.finish();
  return true;
}

}  // namespace

extern const OpDef op_momentum;
const OpDef op_momentum = {
    .name = "Momentum",
    .domain = kTrainingDomain,
    .min_inputs = 5,
    .max_inputs = kVariadic,
    .max_outputs = kVariadic,
    .types = kTrainingTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
