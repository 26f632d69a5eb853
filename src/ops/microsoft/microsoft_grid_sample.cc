// GridSample as com.microsoft had it before ONNX.
#include "ops/common/microsoft.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"align_corners", AttributeKind::kInt},
                                          {"mode", AttributeKind::kString},
                                          {"padding_mode", AttributeKind::kString}};

}  // namespace

extern const OpDef op_microsoft_grid_sample;
const OpDef op_microsoft_grid_sample = {
    .name = "GridSample",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return find_op("GridSample", "", kExpansionOpset)->infer(c); },
    .expand = expand_as_onnx,
};

}  // namespace quern
