// SequenceErase: a sequence without the element at a position, the last by default.
#include "ops/common/sequence.h"

namespace quern {

extern const OpDef op_sequence_erase;
const OpDef op_sequence_erase = {
    .name = "SequenceErase",
    .max_inputs = 2,
    .types = kAllTypes,
    .host_inputs = 1 << 1,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(Type element, sequence_element(c, 0));
      c.set(0, Type::container(Type::Kind::kSequence, std::move(element)));
      return {};
    },
};

}  // namespace quern
