// QLinearMul: the product of quantised tensors, quantised.
#include "ops/common/qlinear.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_qlinear_mul;
const OpDef op_qlinear_mul = {
    .name = "QLinearMul",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 8,
    .types = kQuantized,
    .infer = infer_qlinear_binary,
    .expand = [](Graph& g, Node& n) { return expand_qlinear_binary(g, n, "Mul"); },
};

}  // namespace quern
