// Constant: a value given as an attribute. Importers make it a constant of the graph.
#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"value", AttributeKind::kTensor},         {"value_float", AttributeKind::kFloat},
    {"value_floats", AttributeKind::kFloats},  {"value_int", AttributeKind::kInt},
    {"value_ints", AttributeKind::kInts},      {"value_string", AttributeKind::kString},
    {"value_strings", AttributeKind::kStrings}};

/// The attribute's value as a tensor; nothing where there is none, or it's a weight of the model.
std::optional<HostTensor> tensor_of(const Node& node) {
  if (const AttributeValue* value = node.attribute("value")) {
    const ConstantPtr* constant = std::get_if<ConstantPtr>(value);
    if (constant == nullptr || !*constant || !(*constant)->is_inline()) return std::nullopt;
    return (*constant)->host;
  }
  if (node.attribute("value_float") != nullptr) {
    return HostTensor::of_floats({}, {node.float_or("value_float", 0)});
  }
  if (const std::vector<float>* values = node.floats("value_floats")) {
    return HostTensor::of_floats({std::ssize(*values)}, *values);
  }
  if (node.attribute("value_int") != nullptr) {
    return HostTensor::of_ints(DType::kI64, {}, {node.int_or("value_int", 0)});
  }
  if (const std::vector<int64_t>* values = node.ints("value_ints")) {
    return HostTensor::of_ints(DType::kI64, {std::ssize(*values)}, *values);
  }
  HostTensor text{.dtype = DType::kString};
  if (node.attribute("value_string") != nullptr) {
    text.strings.emplace_back(node.string_or("value_string", ""));
    return text;
  }
  if (const AttributeValue* value = node.attribute("value_strings")) {
    const auto* strings = std::get_if<std::vector<std::string>>(value);
    if (strings == nullptr) return std::nullopt;
    text.dims = {std::ssize(*strings)};
    text.strings = *strings;
    return text;
  }
  return std::nullopt;
}

Result<void> infer_constant(InferContext& c) {
  const std::optional<HostTensor> tensor = tensor_of(c.node());
  if (!tensor) {
    const AttributeValue* value = c.node().attribute("value");
    const ConstantPtr* constant = value != nullptr ? std::get_if<ConstantPtr>(value) : nullptr;
    if (constant == nullptr || !*constant) return c.error("has no value");
    c.set(0, (*constant)->dtype, Shape((*constant)->dims.begin(), (*constant)->dims.end()));
    return {};
  }
  c.set(0, tensor->dtype, Shape(tensor->dims.begin(), tensor->dims.end()));
  if ((is_integer(tensor->dtype) || tensor->dtype == DType::kBool) &&
      tensor->count() <= kMaxContents) {
    std::vector<Dim> contents;
    for (int64_t i = 0; i < tensor->count(); ++i) contents.emplace_back(tensor->int_at(i));
    c.set_contents(0, std::move(contents));
  }
  return {};
}

}  // namespace

extern const OpDef op_constant;
const OpDef op_constant = {
    .name = "Constant",
    .min_inputs = 0,
    .max_inputs = 0,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_constant,
    .eval = [](EvalContext& c) -> Result<void> {
      std::optional<HostTensor> tensor = tensor_of(c.node());
      if (!tensor) return c.error("its value is not on the host");
      c.out(0) = *std::move(tensor);
      return {};
    },
};

}  // namespace quern
