// Trilu as com.microsoft had it before ONNX.
#include "ops/common/infer.h"
#include "ops/common/microsoft.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"upper", AttributeKind::kInt}};

}  // namespace

extern const OpDef op_microsoft_trilu;
const OpDef op_microsoft_trilu = {
    .name = "Trilu",
    .domain = "com.microsoft",
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_same,
    .expand = expand_as_onnx,
};

}  // namespace quern
