// Cast: to another element type.
#include "ops/common/cast.h"

#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_cast;
const OpDef op_cast = {
    .name = "Cast",
    .types = kScalarTypes | type_bit(DType::kString),
    .attributes = kCastAttributes,
    .is_elementwise = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(DType to, type_attribute(c.node(), "to", DType::kUndefined));
      return infer_cast(c, to);
    },
    .expr = cast_expr,
    .eval = eval_cast,
};

}  // namespace quern
