// SequenceInsert: a tensor put before a position of a sequence, at its end by default.
#include "ops/common/sequence.h"

namespace quern {

extern const OpDef op_sequence_insert;
const OpDef op_sequence_insert = {
    .name = "SequenceInsert",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kAllTypes,
    .host_inputs = 1 << 2,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(const Type element, sequence_element(c, 0));
      c.set(0, Type::container(Type::Kind::kSequence, merge_elements(element, c.type(1))));
      return {};
    },
};

}  // namespace quern
