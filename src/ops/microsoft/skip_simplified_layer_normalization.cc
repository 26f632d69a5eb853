// SkipSimplifiedLayerNormalization: RMSNormalization of input + skip (+ bias); the sum is an output
// too.
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"epsilon", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_skip_simplified_layer_normalization;
const OpDef op_skip_simplified_layer_normalization = {
    .name = "SkipSimplifiedLayerNormalization",
    .domain = "com.microsoft",
    .min_inputs = 3,
    .max_inputs = 4,
    .max_outputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_skip_norm,
    .expand = [](Graph& g, Node& n) { return expand_skip_norm(g, n, true); },
};

}  // namespace quern
