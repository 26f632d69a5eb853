// Normalizer: features over their largest one, or over the 1- or 2-norm of the row; a row whose
// divisor is 0 stays as it is.
#include "ops/common/ml.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"norm", AttributeKind::kString}};

Result<const char*> reduction_of(const Node& node) {
  const std::string_view norm = node.string_or("norm", "MAX");
  if (norm == "MAX") return "ReduceMax";
  if (norm == "L1") return "ReduceL1";
  if (norm == "L2") return "ReduceL2";
  return invalid_model(cat(node.describe(), ": norm is '", norm, "', expected MAX, L1 or L2"));
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  QUERN_ASSIGN(const char* reduction, reduction_of(node));
  const std::optional<Shape>& shape = node.input(0)->type.shape;
  if (!shape) return unsupported(cat(node.describe(), ": features of unknown rank"));
  Value* x = e.cast(node.input(0), DType::kF32);
  const int64_t axis = shape->size() > 1 ? 1 : 0;
  Value* norm = e.add(reduction, {x, e.ints({axis})}, {{"keepdims", int64_t{1}}});
  Value* is_zero = e.add("Equal", {norm, e.number(DType::kF32, 0)});
  norm = e.add("Where", {is_zero, e.number(DType::kF32, 1), norm});
  e.replace(0, e.add("Div", {x, norm}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_normalizer;
const OpDef op_normalizer = {
    .name = "Normalizer",
    .domain = kMlDomain,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_TRY(reduction_of(c.node()));
      if (c.shape(0) != nullptr && c.shape(0)->empty()) return c.error("features have no axis");
      c.set(0, DType::kF32, c.type(0).shape);
      return {};
    },
    .expand = expand,
};

}  // namespace quern
