// QLinearLeakyRelu: LeakyRelu of a quantised tensor, quantised.
#include "ops/common/qlinear.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_qlinear_leaky_relu;
const OpDef op_qlinear_leaky_relu = {
    .name = "QLinearLeakyRelu",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 5,
    .types = kQuantized,
    .attributes = kAttributes,
    .infer = infer_qlinear_same,
    .expand = [](Graph& g, Node& n) { return expand_qlinear_unary(g, n, "LeakyRelu", {"alpha"}); },
};

}  // namespace quern
