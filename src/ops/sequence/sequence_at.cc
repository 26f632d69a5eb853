// SequenceAt: the element of a sequence at a position.
#include "ops/common/sequence.h"

namespace quern {

extern const OpDef op_sequence_at;
const OpDef op_sequence_at = {
    .name = "SequenceAt",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kAllTypes,
    .host_inputs = 1 << 1,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(const Type element, sequence_element(c, 0));
      c.set(0, element_taken(c, 0, element));
      return {};
    },
};

}  // namespace quern
