// ai.onnx.ml OneHotEncoder: a new last axis with 1 at the category of each element, numbers or
// strings. It becomes a comparison with the list of categories. (An element of none gives zeros,
// also where `zeros` is 0 and another engine would fail.)
#include "ops/common/expansion.h"
#include "ops/common/label_map.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"cats_int64s", AttributeKind::kInts},
                                          {"cats_strings", AttributeKind::kStrings},
                                          {"zeros", AttributeKind::kInt}};

constexpr int kVersion = 13;  // of the nodes made here

/// The categories, in the type that elements are compared in.
Result<HostTensor> categories(const Node& node, DType input) {
  if (input == DType::kString) {
    const AttributeValue* value = node.attribute("cats_strings");
    const auto* strings = value != nullptr ? std::get_if<std::vector<std::string>>(value) : nullptr;
    if (strings != nullptr) return string_list(*strings);
  } else if (const std::vector<int64_t>* numbers = node.ints("cats_int64s")) {
    return HostTensor::of_ints(DType::kI64, {std::ssize(*numbers)}, *numbers);
  }
  return invalid_model(cat(node.describe(), ": has no categories for ", name_of(input)));
}

Result<void> infer(InferContext& c) {
  std::optional<Shape> shape;
  if (c.dtype(0) != DType::kUndefined && c.shape(0) != nullptr) {
    QUERN_ASSIGN(const HostTensor cats, categories(c.node(), c.dtype(0)));
    shape = *c.shape(0);
    shape->push_back(cats.count());
  }
  c.set(0, DType::kF32, std::move(shape));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  QUERN_ASSIGN(HostTensor cats, categories(node, node.inputs[0]->type.dtype));
  Expansion e(graph, node);
  Value* x = node.inputs[0];
  if (x->type.dtype != cats.dtype) {
    x = e.add_in("", kVersion, "Cast", {x}, {{"to", static_cast<int64_t>(cats.dtype)}});
  }
  Value* element = e.add_in("", kVersion, "Unsqueeze", {x, e.ints({-1})});
  Value* list = graph.add_constant("", make_constant(std::move(cats)));
  Value* same = e.add_in("", kVersion, "Equal", {element, list});
  e.replace(0, e.add_in("", kVersion, "Cast", {same}, {{"to", static_cast<int64_t>(DType::kF32)}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_one_hot_encoder;
const OpDef op_one_hot_encoder = {
    .name = "OneHotEncoder",
    .domain = "ai.onnx.ml",
    .types = kNumeric | type_bit(DType::kString),
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
