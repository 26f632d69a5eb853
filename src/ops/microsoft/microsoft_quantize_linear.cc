// QuantizeLinear as com.microsoft has it: for the types that ONNX's lacked at first.
#include "ops/common/microsoft.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_microsoft_quantize_linear;
const OpDef op_microsoft_quantize_linear = {
    .name = "QuantizeLinear",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kFloats | type_bit(DType::kI32),
    .attributes = kQuantizeAttributes,
    .infer =
        [](InferContext& c) { return find_op("QuantizeLinear", "", kExpansionOpset)->infer(c); },
    .expand = expand_as_onnx,
};

}  // namespace quern
