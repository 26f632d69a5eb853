#include "ops/common/loss.h"

namespace quern {
namespace {

constexpr int kVersion = 20;  // of the operators that losses become

Result<std::string_view> reduction_of(const Node& node) {
  const std::string_view name = node.string_or("reduction", "mean");
  if (name == "none" || name == "mean" || name == "sum") return name;
  return invalid_model(
      cat(node.describe(), ": reduction is '", name, "', expected none, mean or sum"));
}

}  // namespace

Result<void> infer_loss(InferContext& c) {
  QUERN_ASSIGN(const std::string_view reduction, reduction_of(c.node()));
  c.set(0, c.dtype(0), reduction == "none" ? c.type(1).shape : std::optional<Shape>(Shape{}));
  return {};
}

Result<Value*> add_loss(Expansion& e, Graph& graph, Node& node, Value* log_prob) {
  QUERN_ASSIGN(const std::string_view reduction, reduction_of(node));
  std::vector<Value*> inputs = {log_prob, node.input(1)};
  if (Value* weights = node.input(2)) inputs.push_back(weights);
  const bool weighted = inputs.size() > 2 || node.attribute("ignore_index") != nullptr;
  Node* losses = graph.add_node("ClassLoss", std::move(inputs), 2, &node, "quern", 1);
  if (const AttributeValue* ignored = node.attribute("ignore_index")) {
    losses->attributes["ignore_index"] = *ignored;
  }
  const auto reduce = [&](const char* op, Value* v) {
    return e.add_in("", kVersion, op, {v}, {{"keepdims", int64_t{0}}});
  };
  Value* loss = losses->outputs[0];
  if (reduction == "sum") {
    loss = reduce("ReduceSum", loss);
  } else if (reduction == "mean" && !weighted) {
    loss = reduce("ReduceMean", loss);
  } else if (reduction == "mean") {
    loss = e.add_in("", kVersion, "Div",
                    {reduce("ReduceSum", loss), reduce("ReduceSum", losses->outputs[1])});
  }
  const auto to = static_cast<int64_t>(node.input(0)->type.dtype);
  return e.add_in("", kVersion, "Cast", {loss}, {{"to", to}});
}

}  // namespace quern
