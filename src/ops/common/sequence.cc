#include "ops/common/sequence.h"

namespace quern {

Result<Type> sequence_element(const InferContext& c, size_t i) {
  const Type& type = c.type(i);
  if (type.kind == Type::Kind::kSequence && type.element) return *type.element;
  if (type.is_tensor() && type.dtype == DType::kUndefined) return Type{};  // nothing is known
  return c.error(cat("input ", i, " is ", type, ", expected a sequence"));
}

}  // namespace quern
