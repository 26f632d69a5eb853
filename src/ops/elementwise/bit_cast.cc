// BitCast: the same bits as another element type of the same width.
#include "ops/common/cast.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"to", AttributeKind::kInt, true}};

Result<void> infer_bit_cast(InferContext& c) {
  QUERN_ASSIGN(DType to, type_attribute(c.node(), "to", DType::kUndefined));
  if (bit_width(to) != bit_width(c.dtype(0))) {
    return c.error(cat("types ", name_of(c.dtype(0)), " and ", name_of(to), " differ in width"));
  }
  c.set(0, to, c.type(0).shape);
  return {};
}

}  // namespace

extern const OpDef op_bit_cast;
const OpDef op_bit_cast = {
    .name = "BitCast",
    .since = 26,
    .types = kMovableTypes & ~type_bit(DType::kString),
    .attributes = kAttributes,
    .is_view = true,
    .infer = infer_bit_cast,
};

}  // namespace quern
