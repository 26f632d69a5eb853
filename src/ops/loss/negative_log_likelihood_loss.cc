// NegativeLogLikelihoodLoss: the negative of the targets' logarithms of probabilities.
#include "ops/common/loss.h"

namespace quern {
namespace {

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  QUERN_ASSIGN(Value * loss, add_loss(e, graph, node, node.input(0)));
  e.replace(0, loss);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_negative_log_likelihood_loss;
const OpDef op_negative_log_likelihood_loss = {
    .name = "NegativeLogLikelihoodLoss",
    .since = 12,
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kLossAttributes,
    .infer = infer_loss,
    .expand = expand,
};

}  // namespace quern
