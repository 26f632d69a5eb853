// SequenceLength: how many elements a sequence has.
#include "ops/common/sequence.h"

namespace quern {

extern const OpDef op_sequence_length;
const OpDef op_sequence_length = {
    .name = "SequenceLength",
    .types = kAllTypes,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_TRY(sequence_element(c, 0));
      c.set(0, DType::kI64, Shape{});
      c.set_contents(0, {c.fresh_dim(0, 0)});
      return {};
    },
};

}  // namespace quern
