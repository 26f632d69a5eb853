// The training operators, each a step of an optimizer over any number of tensors. Inputs: learning
// rate, update count, then the tensors, their gradients, and the states, each kind together.
#pragma once

#include <cmath>

#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {

inline constexpr std::string_view kTrainingDomain = "ai.onnx.preview.training";
inline constexpr TypeSet kTrainingTypes = types_of(DType::kF32, DType::kF64);

/// Builds the nodes of a step.
class OptimizerStep : public Expansion {
 public:
  /// `kinds` of tensors: parameters, gradients, and states.
  OptimizerStep(Graph& graph, Node& node, size_t kinds)
      : Expansion(graph, node), node_(node), kinds_(kinds) {}

  [[nodiscard]] size_t count() const { return (node_.inputs.size() - 2) / kinds_; }
  /// Tensor `i` of a kind.
  [[nodiscard]] Value* tensor(size_t kind, size_t i) const {
    return node_.inputs[2 + kind * count() + i];
  }
  Value* op(const char* name, std::vector<Value*> inputs) {
    return add_in("", 20, name, std::move(inputs));
  }
  /// An attribute, or another number, in the type of a tensor.
  Value* attribute(const char* name, float fallback, Value* like) {
    return number(like->type.dtype, node_.float_or(name, fallback));
  }
  Value* plus(Value* a, Value* b) { return op("Add", {a, b}); }
  Value* minus(Value* a, Value* b) { return op("Sub", {a, b}); }
  Value* times(Value* a, Value* b) { return op("Mul", {a, b}); }
  Value* over(Value* a, Value* b) { return op("Div", {a, b}); }
  /// The learning rate, and the update count, in the type of a tensor.
  Value* rate(Value* like) { return op("CastLike", {node_.inputs[0], like}); }
  Value* updates(Value* like) { return op("CastLike", {node_.inputs[1], like}); }
  /// The gradient of tensor i with that of the norm.
  Value* gradient(size_t i) {
    Value* x = tensor(0, i);
    return plus(times(attribute("norm_coefficient", 0, x), x), tensor(1, i));
  }
  /// Output `kind` of tensor i; outputs have no gradients among them.
  void store(size_t kind, size_t i, Value* value) { replace(kind * count() + i, value); }

 private:
  Node& node_;
  size_t kinds_;
};

/// Outputs: the parameters and the states, in their types.
inline Result<void> infer_optimizer(InferContext& c, size_t kinds) {
  const size_t tensors = c.input_count() < 2 ? 0 : c.input_count() - 2;
  const size_t count = tensors / kinds;
  if (tensors == 0 || tensors % kinds != 0 || c.output_count() > (kinds - 1) * count) {
    return c.error(cat(c.input_count(), " inputs and ", c.output_count(), " outputs"));
  }
  for (size_t i = 0; i < c.output_count(); ++i) {
    const size_t from = 2 + (i < count ? i : i + count);  // gradients are no outputs
    if (!c.has_input(from)) return c.error(cat("input ", from, " is absent"));
    c.set(i, c.type(from));
  }
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) return c.error(cat("input ", i, " is absent"));
  }
  return {};
}

}  // namespace quern
