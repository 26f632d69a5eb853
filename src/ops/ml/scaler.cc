// Scaler: (x - offset) * scale, one number for all features or one for each.
#include "ops/common/ml.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"offset", AttributeKind::kFloats},
                                          {"scale", AttributeKind::kFloats}};

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  Value* y = e.cast(node.input(0), DType::kF32);
  if (const std::vector<float>* offset = node.floats("offset"); offset && !offset->empty()) {
    y = e.add("Sub", {y, e.floats(*offset)});
  }
  if (const std::vector<float>* scale = node.floats("scale"); scale && !scale->empty()) {
    y = e.add("Mul", {y, e.floats(*scale)});
  }
  e.replace(0, y == node.input(0) ? e.add("Identity", {y}) : y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_scaler;
const OpDef op_scaler = {
    .name = "Scaler",
    .domain = kMlDomain,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) -> Result<void> {
      c.set(0, DType::kF32, c.type(0).shape);
      return {};
    },
    .expand = expand,
};

}  // namespace quern
