// QLinearAveragePool: AveragePool of a quantised tensor, quantised.
#include "ops/common/qlinear.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"auto_pad", AttributeKind::kString},
    {"ceil_mode", AttributeKind::kInt},
    {"channels_last", AttributeKind::kInt},
    {"count_include_pad", AttributeKind::kInt},
    {"kernel_shape", AttributeKind::kInts, true},
    {"pads", AttributeKind::kInts},
    {"strides", AttributeKind::kInts},
};

}  // namespace

extern const OpDef op_qlinear_average_pool;
const OpDef op_qlinear_average_pool = {
    .name = "QLinearAveragePool",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 5,
    .types = kQuantized,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_qlinear_pool(c, "AveragePool"); },
    .expand = [](Graph& g, Node& n) { return expand_qlinear_pool(g, n, "AveragePool"); },
};

}  // namespace quern
