// FeatureVectorizer: features of several inputs side by side, each cut or filled with zeros to
// its extent in `inputdimensions`.
#include <numeric>

#include "ops/common/ml.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"inputdimensions", AttributeKind::kInts, true}};

Result<const std::vector<int64_t>*> extents_of(const Node& node, size_t inputs) {
  const std::vector<int64_t>* extents = node.ints("inputdimensions");
  if (extents == nullptr || extents->size() != inputs) {
    return invalid_model(cat(node.describe(), ": inputdimensions has not one number an input"));
  }
  for (const int64_t n : *extents) {
    if (n < 0 || n > INT32_MAX) {
      return invalid_model(cat(node.describe(), ": an input dimension is ", n));
    }
  }
  return extents;
}

Result<void> infer(InferContext& c) {
  QUERN_ASSIGN(const std::vector<int64_t>* extents, extents_of(c.node(), c.input_count()));
  Dim rows = 1;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) return c.error(cat("input ", i, " is absent"));
    QUERN_ASSIGN(const Dim own, feature_rows(c, i));
    if (i == 0 || rows == Dim(1)) rows = own;
  }
  c.set(0, DType::kF32, Shape{rows, std::accumulate(extents->begin(), extents->end(), int64_t{0})});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  QUERN_ASSIGN(const std::vector<int64_t>* extents, extents_of(node, node.inputs.size()));
  std::vector<Value*> parts;
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    QUERN_ASSIGN(Value * x, add_rows(e, node, node.inputs[i], DType::kF32));
    const int64_t extent = (*extents)[i];
    if (node.inputs[i]->type.shape->back() != Dim(extent)) {
      // Filled, then cut: one of the two does nothing.
      x = e.add("Pad", {x, e.ints({0, 0, 0, extent})});
      x = e.add("Slice", {x, e.ints({0}), e.ints({extent}), e.ints({1})});
    }
    parts.push_back(x);
  }
  e.replace(0, e.add("Concat", std::move(parts), {{"axis", int64_t{1}}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_feature_vectorizer;
const OpDef op_feature_vectorizer = {
    .name = "FeatureVectorizer",
    .domain = kMlDomain,
    .max_inputs = kVariadic,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
