// DequantizeLinear: (x - zero point) * scale.
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_dequantize_linear;
const OpDef op_dequantize_linear = {
    .name = "DequantizeLinear",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kQuantized | type_bit(DType::kI32),
    .attributes = kDequantizeAttributes,
    .is_elementwise = true,
    .infer = infer_dequantize,
    .expr = dequantize_expr,
};

}  // namespace quern
