// SequenceEmpty: a sequence without elements, of tensors of type `dtype` (f32).
#include "ops/common/cast.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"dtype", AttributeKind::kInt}};

}  // namespace

extern const OpDef op_sequence_empty;
const OpDef op_sequence_empty = {
    .name = "SequenceEmpty",
    .min_inputs = 0,
    .max_inputs = 0,
    .types = kAllTypes,
    .attributes = kAttributes,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(const DType dtype, type_attribute(c.node(), "dtype", DType::kF32));
      c.set(0, Type::container(Type::Kind::kSequence, Type::tensor(dtype, std::nullopt)));
      return {};
    },
};

}  // namespace quern
