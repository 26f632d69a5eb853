// OptionalHasElement: does an optional hold something? Tensors and sequences do (operator set 18).
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_optional_has_element;
const OpDef op_optional_has_element = {
    .name = "OptionalHasElement",
    .min_inputs = 0,
    .types = kAllTypes,
    .is_sequence = true,
    .infer = [](InferContext& c) -> Result<void> {
      c.set(0, DType::kBool, Shape{});
      const bool has = c.has_input(0);
      const bool known = !has || c.type(0).kind == Type::Kind::kSequence ||
                         (c.type(0).is_tensor() && c.dtype(0) != DType::kUndefined);
      if (known) c.set_contents(0, {Dim(has ? 1 : 0)});
      return {};
    },
};

}  // namespace quern
