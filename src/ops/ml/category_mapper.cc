// ai.onnx.ml CategoryMapper: strings to numbers, or numbers to strings, by two lists.
#include "ops/common/label_map.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"cats_int64s", AttributeKind::kInts},
                                          {"cats_strings", AttributeKind::kStrings},
                                          {"default_int64", AttributeKind::kInt},
                                          {"default_string", AttributeKind::kString}};

Result<LabelMap> map_of(const Node& node, DType input) {
  const std::vector<int64_t>* numbers = node.ints("cats_int64s");
  const AttributeValue* value = node.attribute("cats_strings");
  const auto* strings = value != nullptr ? std::get_if<std::vector<std::string>>(value) : nullptr;
  if (numbers == nullptr || strings == nullptr) {
    return invalid_model(cat(node.describe(), ": needs cats_int64s and cats_strings"));
  }
  LabelMap map;
  map.keys = string_list(*strings);
  map.values = HostTensor::of_ints(DType::kI64, {std::ssize(*numbers)}, *numbers);
  map.fallback = HostTensor::of_ints(DType::kI64, {}, {node.int_or("default_int64", -1)});
  if (input == DType::kString) return map;
  std::swap(map.keys, map.values);
  map.fallback = string_list({std::string(node.string_or("default_string", "_Unused"))});
  return map;
}

}  // namespace

extern const OpDef op_category_mapper;
const OpDef op_category_mapper = {
    .name = "CategoryMapper",
    .domain = "ai.onnx.ml",
    .types = types_of(DType::kI64, DType::kString),
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_labels(c, map_of); },
    .eval = [](EvalContext& c) { return eval_labels(c, map_of); },
};

}  // namespace quern
