// Floor: rounds toward minus infinity.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_floor;
const OpDef op_floor = {
    .name = "Floor",
    .types = kFloats,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = unary_expr<ExprOp::kFloor>,
};

}  // namespace quern
