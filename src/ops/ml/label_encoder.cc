// ai.onnx.ml LabelEncoder: labels to labels. Version 1 has strings and their numbers, version 2
// lists of keys and values, version 4 tensors too.
#include <numeric>

#include "ops/common/label_map.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"classes_strings", AttributeKind::kStrings}, {"keys_strings", AttributeKind::kStrings},
    {"keys_int64s", AttributeKind::kInts},        {"keys_floats", AttributeKind::kFloats},
    {"keys_tensor", AttributeKind::kTensor},      {"values_strings", AttributeKind::kStrings},
    {"values_int64s", AttributeKind::kInts},      {"values_floats", AttributeKind::kFloats},
    {"values_tensor", AttributeKind::kTensor},    {"default_string", AttributeKind::kString},
    {"default_int64", AttributeKind::kInt},       {"default_float", AttributeKind::kFloat},
    {"default_tensor", AttributeKind::kTensor},
};

const std::vector<std::string>* strings_of(const Node& node, std::string_view name) {
  const AttributeValue* value = node.attribute(name);
  return value != nullptr ? std::get_if<std::vector<std::string>>(value) : nullptr;
}

const HostTensor* tensor_of(const Node& node, std::string_view name) {
  const AttributeValue* value = node.attribute(name);
  const ConstantPtr* constant = value != nullptr ? std::get_if<ConstantPtr>(value) : nullptr;
  return constant != nullptr && *constant && (*constant)->is_inline() ? &(*constant)->host
                                                                      : nullptr;
}

HostTensor string_scalar(std::string_view text) {
  HostTensor t = string_list({std::string(text)});
  t.dims = {};
  return t;
}

/// The list that one of the attributes keys_* or values_* gives.
Result<HostTensor> list_of(const Node& node, std::string_view kind) {
  if (const HostTensor* tensor = tensor_of(node, cat(kind, "_tensor"))) return *tensor;
  if (const auto* strings = strings_of(node, cat(kind, "_strings"))) return string_list(*strings);
  if (const auto* ints = node.ints(cat(kind, "_int64s"))) {
    return HostTensor::of_ints(DType::kI64, {std::ssize(*ints)}, *ints);
  }
  if (const auto* floats = node.floats(cat(kind, "_floats"))) {
    return HostTensor::of_floats({std::ssize(*floats)}, *floats);
  }
  return invalid_model(cat(node.describe(), ": has no ", kind));
}

Result<LabelMap> map_of(const Node& node, DType input) {
  LabelMap map;
  if (node.version < 2) {
    const auto* classes = strings_of(node, "classes_strings");
    if (classes == nullptr) return invalid_model(cat(node.describe(), ": has no classes_strings"));
    std::vector<int64_t> numbers(classes->size());
    std::iota(numbers.begin(), numbers.end(), 0);
    map.keys = string_list(*classes);
    map.values = HostTensor::of_ints(DType::kI64, map.keys.dims, numbers);
    map.fallback = HostTensor::of_ints(DType::kI64, {}, {node.int_or("default_int64", -1)});
    if (input != DType::kString) {
      std::swap(map.keys, map.values);
      map.fallback = string_scalar(node.string_or("default_string", "_Unused"));
    }
    return map;
  }
  QUERN_ASSIGN(map.keys, list_of(node, "keys"));
  QUERN_ASSIGN(map.values, list_of(node, "values"));
  map.last_wins = node.version >= 4;
  const HostTensor* given = tensor_of(node, "default_tensor");
  if (given != nullptr) {
    map.fallback = *given;
  } else if (map.values.dtype == DType::kString) {
    map.fallback = string_scalar(node.string_or("default_string", "_Unused"));
  } else if (is_float(map.values.dtype)) {
    map.fallback.dtype = map.values.dtype;
    map.fallback.bytes.resize(byte_size(map.values.dtype, 1));
    map.fallback.set_float(0, static_cast<double>(node.float_or("default_float", -0.0f)));
  } else {
    map.fallback = HostTensor::of_ints(map.values.dtype, {}, {node.int_or("default_int64", -1)});
  }
  return map;
}

}  // namespace

extern const OpDef op_label_encoder;
const OpDef op_label_encoder = {
    .name = "LabelEncoder",
    .domain = "ai.onnx.ml",
    .types = kNumeric | type_bit(DType::kString),
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_labels(c, map_of); },
    .expand = [](Graph& g, Node& n) { return expand_labels(g, n, map_of); },
    .eval = [](EvalContext& c) { return eval_labels(c, map_of); },
};

}  // namespace quern
