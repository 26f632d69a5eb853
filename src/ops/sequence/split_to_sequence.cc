// SplitToSequence: a tensor in parts along `axis`: of the given lengths, of one length (the last
// may be shorter), or of 1, whose axis goes away with `keepdims` 0.
#include "ops/common/infer.h"
#include "ops/common/sequence.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt},
                                          {"keepdims", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  Type element = merge_elements(c.type(0), c.type(0));
  if (element.shape) {
    Shape& shape = *element.shape;
    QUERN_ASSIGN(const size_t axis, c.axis(c.node().int_or("axis", 0), shape.size()));
    if (c.has_input(1)) {
      shape[axis] = Dim::symbol("_any");
    } else if (c.node().int_or("keepdims", 1) != 0) {
      shape[axis] = 1;
    } else {
      shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
    }
  }
  c.set(0, Type::container(Type::Kind::kSequence, std::move(element)));
  return {};
}

}  // namespace

extern const OpDef op_split_to_sequence;
const OpDef op_split_to_sequence = {
    .name = "SplitToSequence",
    .max_inputs = 2,
    .types = kAllTypes,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .is_sequence = true,
    .infer = infer,
};

}  // namespace quern
