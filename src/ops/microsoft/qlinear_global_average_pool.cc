// QLinearGlobalAveragePool: GlobalAveragePool of a quantised tensor, quantised.
#include "ops/common/qlinear.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"channels_last", AttributeKind::kInt}};

}  // namespace

extern const OpDef op_qlinear_global_average_pool;
const OpDef op_qlinear_global_average_pool = {
    .name = "QLinearGlobalAveragePool",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 5,
    .types = kQuantized,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_qlinear_pool(c, "GlobalAveragePool"); },
    .expand = [](Graph& g, Node& n) { return expand_qlinear_pool(g, n, "GlobalAveragePool"); },
};

}  // namespace quern
