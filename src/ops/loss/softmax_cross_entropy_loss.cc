// SoftmaxCrossEntropyLoss: the negative log likelihood of the scores' softmax over axis 1; the
// logarithms of the probabilities are output 1.
#include "ops/common/loss.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  c.set(1, c.type(0));
  return infer_loss(c);
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  Value* log_prob = e.add_in("", 13, "LogSoftmax", {node.input(0)}, {{"axis", int64_t{1}}});
  QUERN_ASSIGN(Value * loss, add_loss(e, graph, node, log_prob));
  e.replace(0, loss);
  e.replace(1, log_prob);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_softmax_cross_entropy_loss;
const OpDef op_softmax_cross_entropy_loss = {
    .name = "SoftmaxCrossEntropyLoss",
    .since = 12,
    .min_inputs = 2,
    .max_inputs = 3,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kLossAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
