// LinearClassifier and LinearRegressor.
#pragma once

#include "ops/common/ml.h"

namespace quern {

/// Input 0 times the attribute `coefficients` [targets, features], plus `intercepts`; f32.
inline Result<Value*> add_linear_scores(MlExpansion& e, const Node& node, int64_t targets) {
  const std::vector<float>* coefficients = node.floats("coefficients");
  const int64_t count = coefficients == nullptr ? 0 : std::ssize(*coefficients);
  if (targets < 1 || count == 0 || count % targets != 0) {
    return invalid_model(
        cat(node.describe(), ": ", count, " coefficients for ", targets, " targets"));
  }
  QUERN_ASSIGN(Value * x, add_rows(e, node, node.inputs[0], DType::kF32));
  std::vector<Value*> inputs = {x, e.floats({targets, count / targets}, *coefficients)};
  if (const std::vector<float>* intercepts = node.floats("intercepts");
      intercepts != nullptr && !intercepts->empty()) {
    if (std::ssize(*intercepts) != targets) {
      return invalid_model(
          cat(node.describe(), ": ", intercepts->size(), " intercepts for ", targets, " targets"));
    }
    inputs.push_back(e.floats(*intercepts));
  }
  return e.add("Gemm", std::move(inputs), {{"transB", int64_t{1}}});
}

}  // namespace quern
