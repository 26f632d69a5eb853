// Optional: an optional that holds the input, or an empty one of type `type`.
#include "ops/common/sequence.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"type", AttributeKind::kType}};

Result<void> infer(InferContext& c) {
  if (c.has_input(0)) {
    c.set(0, Type::container(Type::Kind::kOptional, merge_elements(c.type(0), c.type(0))));
    return {};
  }
  const AttributeValue* value = c.node().attribute("type");
  const Type* type = value != nullptr ? std::get_if<Type>(value) : nullptr;
  if (type == nullptr) return c.error("needs an input or attribute type");
  c.set(0, Type::container(Type::Kind::kOptional, *type));
  return {};
}

}  // namespace

extern const OpDef op_optional;
const OpDef op_optional = {
    .name = "Optional",
    .min_inputs = 0,
    .types = kAllTypes,
    .attributes = kAttributes,
    .is_sequence = true,
    .infer = infer,
};

}  // namespace quern
