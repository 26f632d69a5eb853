// ArrayFeatureExtractor: elements of the last axis at a list of indices; of a vector as one row.
#include "ops/common/ml.h"
#include "ops/common/types.h"

namespace quern {
namespace {

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* x = c.shape(0);
  if (x == nullptr || c.shape(1) == nullptr) return {};
  if (x->empty()) return c.error("the input has no axis");
  Shape result = *x;
  result.back() = element_count(*c.shape(1));
  if (x->size() == 1) result.insert(result.begin(), 1);
  c.set(0, c.dtype(0), std::move(result));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  Value* x = node.input(0);
  if (!x->type.shape) return unsupported(cat(node.describe(), ": an input of unknown rank"));
  Value* indices = e.add("Reshape", {node.input(1), e.ints({-1})});
  Value* y = e.add("Gather", {x, indices}, {{"axis", int64_t{-1}}});
  if (x->type.shape->size() == 1) y = e.add("Unsqueeze", {y, e.ints({0})});
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_array_feature_extractor;
const OpDef op_array_feature_extractor = {
    .name = "ArrayFeatureExtractor",
    .domain = kMlDomain,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
