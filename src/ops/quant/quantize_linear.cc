// QuantizeLinear: x / scale + zero point, rounded and saturated, or cast to a small float.
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_quantize_linear;
const OpDef op_quantize_linear = {
    .name = "QuantizeLinear",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kFloats | type_bit(DType::kI32),
    .attributes = kQuantizeAttributes,
    .is_elementwise = true,
    .infer = infer_quantize,
    .expr = quantize_expr,
};

}  // namespace quern
