// QLinearSoftmax: Softmax (of the operator-set version `opset`) of a quantised tensor, quantised.
#include "ops/common/qlinear.h"
#include "ops/common/quantize.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"axis", AttributeKind::kInt},
    {"opset", AttributeKind::kInt, true},
};

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  // Before version 13 the axes from `axis` on were one.
  const int version = node.int_or("opset", 13) < 13 ? 11 : 13;
  Value* y = e.add_in("", version, "Softmax", {add_dequantized(e, node, 0)},
                      {{"axis", node.int_or("axis", version < 13 ? 1 : -1)}});
  e.replace(0, add_quantized(e, node, y, 3));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_qlinear_softmax;
const OpDef op_qlinear_softmax = {
    .name = "QLinearSoftmax",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 5,
    .types = kQuantized,
    .attributes = kAttributes,
    .infer = infer_qlinear_same,
    .expand = expand,
};

}  // namespace quern
