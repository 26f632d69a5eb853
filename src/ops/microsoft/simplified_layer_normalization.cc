// SimplifiedLayerNormalization, as ONNX Runtime has it in ONNX's own domain: RMSNormalization.
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"axis", AttributeKind::kInt},
    {"epsilon", AttributeKind::kFloat},
    {"stash_type", AttributeKind::kInt},
};

}  // namespace

extern const OpDef op_simplified_layer_normalization;
const OpDef op_simplified_layer_normalization = {
    .name = "SimplifiedLayerNormalization",

    .min_inputs = 2,
    .max_inputs = 2,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_simplified_norm,
    .expand = expand_simplified_norm,
};

}  // namespace quern
