// ConcatFromSequence: the elements of a sequence one after the other along `axis`, which is a new
// one with `new_axis`.
#include "ops/common/sequence.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt, true},
                                          {"new_axis", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  QUERN_ASSIGN(const Type element, sequence_element(c, 0));
  if (!element.is_tensor()) return c.error(cat("input 0 holds ", element, ", expected tensors"));
  Type joined = element_taken(c, 0, element);
  if (joined.shape) {
    Shape& shape = *joined.shape;
    const bool stacked = c.node().int_or("new_axis", 0) != 0;
    QUERN_ASSIGN(const size_t axis,
                 c.axis(c.node().int_or("axis", 0), shape.size() + (stacked ? 1 : 0)));
    // Not the number of an axis, so that no two dims have one name.
    const Dim extent = c.fresh_dim(0, shape.size());
    if (stacked) {
      shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), extent);
    } else {
      shape[axis] = extent;
    }
  }
  c.set(0, std::move(joined));
  return {};
}

}  // namespace

extern const OpDef op_concat_from_sequence;
const OpDef op_concat_from_sequence = {
    .name = "ConcatFromSequence",
    .types = kAllTypes,
    .attributes = kAttributes,
    .is_sequence = true,
    .infer = infer,
};

}  // namespace quern
