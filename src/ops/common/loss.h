// Losses over classes: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss.
#pragma once

#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr AttributeField kLossAttributes[] = {{"ignore_index", AttributeKind::kInt},
                                                     {"reduction", AttributeKind::kString}};

/// Output 0: the loss of scores (input 0) for targets (input 1), by `reduction`.
Result<void> infer_loss(InferContext& c);
/// The loss of the node for these logarithms of probabilities.
Result<Value*> add_loss(Expansion& e, Graph& graph, Node& node, Value* log_prob);

}  // namespace quern
