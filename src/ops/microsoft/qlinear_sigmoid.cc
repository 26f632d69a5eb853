// QLinearSigmoid: Sigmoid of a quantised tensor, quantised.
#include "ops/common/qlinear.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_qlinear_sigmoid;
const OpDef op_qlinear_sigmoid = {
    .name = "QLinearSigmoid",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 5,
    .types = kQuantized,
    .infer = infer_qlinear_same,
    .expand = [](Graph& g, Node& n) { return expand_qlinear_unary(g, n, "Sigmoid", {}); },
};

}  // namespace quern
