// Imputer: features equal to one value (NaN too) are replaced, by one number for all features or
// one for each.
#include <cmath>

#include "ops/common/infer.h"
#include "ops/common/ml.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"imputed_value_floats", AttributeKind::kFloats},
                                          {"imputed_value_int64s", AttributeKind::kInts},
                                          {"replaced_value_float", AttributeKind::kFloat},
                                          {"replaced_value_int64", AttributeKind::kInt}};

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  Value* x = node.input(0);
  const DType type = x->type.dtype;
  Value* missing = nullptr;
  Value* imputed = nullptr;
  if (is_float(type)) {
    const std::vector<float>* values = node.floats("imputed_value_floats");
    if (values == nullptr || values->empty()) {
      return invalid_model(cat(node.describe(), ": imputed_value_floats is absent"));
    }
    imputed = e.floats(*values);
    const float replaced = node.float_or("replaced_value_float", 0.0f);
    missing = std::isnan(replaced)
                  ? e.add("IsNaN", {x})
                  : e.add("Equal", {x, e.number(type, static_cast<double>(replaced))});
  } else {
    const std::vector<int64_t>* values = node.ints("imputed_value_int64s");
    if (values == nullptr || values->empty()) {
      return invalid_model(cat(node.describe(), ": imputed_value_int64s is absent"));
    }
    imputed = e.ints(*values);
    missing = e.add("Equal", {x, e.cast(e.integer(node.int_or("replaced_value_int64", 0)), type)});
  }
  e.replace(0, e.add("Where", {missing, e.cast(imputed, type), x}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_imputer;
const OpDef op_imputer = {
    .name = "Imputer",
    .domain = kMlDomain,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) { return infer_same(c); },
    .expand = expand,
};

}  // namespace quern
