// CastLike: to the element type of a second input.
#include "ops/common/cast.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_cast_like;
const OpDef op_cast_like = {
    .name = "CastLike",
    .since = 15,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kScalarTypes | type_bit(DType::kString),
    .attributes = std::span(kCastAttributes).subspan(1),
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_cast(c, c.dtype(1)); },
    .expr = cast_expr,
    .eval = eval_cast,
};

}  // namespace quern
