// Xor: exactly one.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_xor;
const OpDef op_xor = {
    .name = "Xor",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = type_bit(DType::kBool),
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_compare(c); },
    .expr = binary_expr<ExprOp::kXor>,
};

}  // namespace quern
