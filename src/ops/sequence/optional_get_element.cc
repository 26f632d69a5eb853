// OptionalGetElement: what an optional holds. Tensors and sequences are handed on (operator set
// 18).
#include "ops/common/infer.h"
#include "ops/common/merge_types.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_optional_get_element;
const OpDef op_optional_get_element = {
    .name = "OptionalGetElement",
    .types = kAllTypes,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      const Type& type = c.type(0);
      if (type.kind == Type::Kind::kOptional) {
        c.set(0, element_taken(c, 0, type.element ? *type.element : Type{}));
      } else {
        c.set(0, type);
        if (type.is_tensor()) pass_contents(c);
      }
      return {};
    },
};

}  // namespace quern
