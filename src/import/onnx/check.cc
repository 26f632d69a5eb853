// What an imported model needs from the operator table.
#include <algorithm>

#include "import/onnx/import.h"
#include "ir/operator_list.h"
#include "ops/op_def.h"

namespace quern {
namespace {

std::string_view kind_name(AttributeKind kind) {
  constexpr std::string_view kNames[] = {"an int",  "a float",  "a string", "ints",   "floats",
                                         "strings", "a tensor", "a graph",  "graphs", "a type"};
  return kNames[static_cast<size_t>(kind)];
}

/// AttributeKind names the alternatives of AttributeValue in their order.
bool is_of_kind(const AttributeValue& value, AttributeKind kind) {
  return value.index() == static_cast<size_t>(kind);
}
template <AttributeKind kind, class T>
constexpr bool kSameOrder =
    std::is_same_v<std::variant_alternative_t<static_cast<size_t>(kind), AttributeValue>, T>;
static_assert(kSameOrder<AttributeKind::kInt, int64_t> &&
              kSameOrder<AttributeKind::kFloat, float> &&
              kSameOrder<AttributeKind::kString, std::string> &&
              kSameOrder<AttributeKind::kInts, std::vector<int64_t>> &&
              kSameOrder<AttributeKind::kFloats, std::vector<float>> &&
              kSameOrder<AttributeKind::kStrings, std::vector<std::string>> &&
              kSameOrder<AttributeKind::kTensor, ConstantPtr> &&
              kSameOrder<AttributeKind::kGraph, std::shared_ptr<Graph>> &&
              kSameOrder<AttributeKind::kType, Type>);

Result<void> check_count(const Node& node, std::string_view what, size_t count, uint8_t least,
                         uint8_t most) {
  if (count >= least && (count <= most || most == kVariadic)) return {};
  return invalid_model(cat(node.describe(), ": has ", count, " ", what, ", not ", least,
                           least == most       ? ""
                           : most == kVariadic ? " or more"
                                               : cat(" to ", most)));
}

Result<void> check_node(const Node& node, const OpDef& op) {
  QUERN_TRY(check_count(node, "inputs", node.inputs.size(), op.min_inputs, op.max_inputs));
  QUERN_TRY(check_count(node, "outputs", node.outputs.size(), op.min_outputs, op.max_outputs));
  for (const AttributeField& field : op.attributes) {
    const AttributeValue* value = node.attribute(field.name);
    if (!value && field.required) {
      return invalid_model(cat(node.describe(), ": lacks attribute '", field.name, "'"));
    }
    if (value && !is_of_kind(*value, field.kind)) {
      return invalid_model(
          cat(node.describe(), ": attribute '", field.name, "' is not ", kind_name(field.kind)));
    }
  }
  // An attribute that came with a later version of ONNX Runtime changes what the operator means.
  if (node.domain == "com.microsoft") {
    for (const auto& [name, value] : node.attributes) {
      if (std::ranges::find(op.attributes, name, &AttributeField::name) != op.attributes.end()) {
        continue;
      }
      std::string known;
      for (const AttributeField& field : op.attributes) {
        known += cat(known.empty() ? "" : ", ", field.name);
      }
      return unsupported(cat(node.describe(), ": attribute '", name, "' is not known, expected ",
                             known.empty() ? "none" : known));
    }
  }
  return {};
}

}  // namespace

Result<void> check_supported(const Model& model, OpLookup lookup) {
  OperatorList missing;
  for_each_node(*model.graph, [&](Node& node) {
    if (!lookup(node.op, node.domain, node.version)) missing.add(node);
  });
  if (missing.empty()) return {};
  return unsupported(cat("unsupported operators: ", missing.text()));
}

Result<void> check_nodes(const Model& model, OpLookup lookup) {
  Result<void> result;
  for_each_node(*model.graph, [&](Node& node) {
    const OpDef* op = lookup(node.op, node.domain, node.version);
    if (result && op) result = check_node(node, *op);
  });
  return result;
}

}  // namespace quern
