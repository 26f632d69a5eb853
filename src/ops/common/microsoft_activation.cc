#include "ops/common/microsoft.h"

namespace quern {

Result<Value*> add_activation(Expansion& e, const Node& node, Value* x, std::string_view name,
                              const std::vector<float>& parameters) {
  struct Activation {
    std::string_view name;
    std::string_view first = {}, second = {};  // attributes that the parameters are
  };
  constexpr Activation kActivations[] = {
      {"Relu"},
      {"Tanh"},
      {"Sigmoid"},
      {"Softplus"},
      {"Softsign"},
      {"Gelu"},
      {"HardSwish"},
      {"LeakyRelu", "alpha"},
      {"Elu", "alpha"},
      {"Celu", "alpha"},
      {"ThresholdedRelu", "alpha"},
      {"HardSigmoid", "alpha", "beta"},
      {"Selu", "alpha", "gamma"},
  };
  if (name.empty()) return x;
  if (name == "QuickGelu") {
    Value* y = e.add_in("com.microsoft", 1, "QuickGelu", {x});
    if (!parameters.empty()) y->producer->attributes["alpha"] = parameters[0];
    return y;
  }
  if (name == "Clip") {
    const DType type = x->type.dtype;
    std::vector<Value*> inputs = {x};
    for (size_t i = 0; i < 2 && i < parameters.size(); ++i) {
      inputs.push_back(e.number(type, static_cast<double>(parameters[i])));
    }
    return e.add("Clip", std::move(inputs));
  }
  for (const Activation& a : kActivations) {
    if (a.name != name) continue;
    Value* y = e.add(std::string(name), {x});
    const std::string_view attributes[] = {a.first, a.second};
    for (size_t i = 0; i < 2 && i < parameters.size(); ++i) {
      if (!attributes[i].empty()) {
        y->producer->attributes[std::string(attributes[i])] = parameters[i];
      }
    }
    return y;
  }
  std::string known = "QuickGelu, Clip";
  for (const Activation& a : kActivations) known += cat(", ", a.name);
  return unsupported(cat(node.describe(), ": activation is '", name, "', expected one of ", known));
}

}  // namespace quern
