// SequenceConstruct: a sequence of the inputs.
#include "ops/common/sequence.h"

namespace quern {

extern const OpDef op_sequence_construct;
const OpDef op_sequence_construct = {
    .name = "SequenceConstruct",
    .max_inputs = kVariadic,
    .types = kAllTypes,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      Type element = merge_elements(c.type(0), c.type(0));
      for (size_t i = 1; i < c.input_count(); ++i) {
        if (!c.has_input(i)) return c.error(cat("input ", i, " is absent"));
        if (c.dtype(i) != c.dtype(0)) return c.error("its inputs differ in element type");
        element = merge_elements(element, c.type(i));
      }
      c.set(0, Type::container(Type::Kind::kSequence, std::move(element)));
      return {};
    },
};

}  // namespace quern
