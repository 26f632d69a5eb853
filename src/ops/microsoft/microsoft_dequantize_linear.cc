// DequantizeLinear as com.microsoft has it: for the types that ONNX's lacked at first.
#include "ops/common/microsoft.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_microsoft_dequantize_linear;
const OpDef op_microsoft_dequantize_linear = {
    .name = "DequantizeLinear",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kQuantized | type_bit(DType::kI32),
    .attributes = kDequantizeAttributes,
    .infer =
        [](InferContext& c) { return find_op("DequantizeLinear", "", kExpansionOpset)->infer(c); },
    .expand = expand_as_onnx,
};

}  // namespace quern
