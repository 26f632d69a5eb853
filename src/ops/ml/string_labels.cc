// quern.StringLabels: the strings of the attribute `labels` at integer indices.
#include <algorithm>

#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"labels", AttributeKind::kStrings, true}};

Result<void> eval(EvalContext& c) {
  const AttributeValue* value = c.node().attribute("labels");
  const auto* labels = value == nullptr ? nullptr : std::get_if<std::vector<std::string>>(value);
  if (labels == nullptr || labels->empty()) return c.error("there are no labels");
  for (int64_t i = 0; i < c.in(0).count(); ++i) {
    const int64_t at = std::clamp<int64_t>(c.in(0).int_at(i), 0, std::ssize(*labels) - 1);
    c.out(0).strings[static_cast<size_t>(i)] = (*labels)[static_cast<size_t>(at)];
  }
  return {};
}

}  // namespace

extern const OpDef op_string_labels;
const OpDef op_string_labels = {
    .name = "StringLabels",
    .domain = "quern",
    .since = 0,
    .types = kInts,
    .attributes = kAttributes,
    .is_host = true,
    .infer = [](InferContext& c) -> Result<void> {
      c.set(0, DType::kString, c.type(0).shape);
      return {};
    },
    .eval = eval,
};

}  // namespace quern
