// TreeEnsemble: decision trees whose leaves add up to one score for each target.
#include "ops/common/forest.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"aggregate_function", AttributeKind::kInt},
    {"leaf_targetids", AttributeKind::kInts, true},
    {"leaf_weights", AttributeKind::kTensor, true},
    {"membership_values", AttributeKind::kTensor},
    {"n_targets", AttributeKind::kInt},
    {"nodes_falseleafs", AttributeKind::kInts, true},
    {"nodes_falsenodeids", AttributeKind::kInts, true},
    {"nodes_featureids", AttributeKind::kInts, true},
    {"nodes_hitrates", AttributeKind::kTensor},
    {"nodes_missing_value_tracks_true", AttributeKind::kInts},
    {"nodes_modes", AttributeKind::kTensor, true},
    {"nodes_splits", AttributeKind::kTensor, true},
    {"nodes_trueleafs", AttributeKind::kInts, true},
    {"nodes_truenodeids", AttributeKind::kInts, true},
    {"post_transform", AttributeKind::kInt},
    {"tree_roots", AttributeKind::kInts, true},
};

Result<void> infer(InferContext& c) {
  QUERN_TRY(post_transform_of(c.node()));
  const int64_t targets = c.node().int_or("n_targets", 1);
  if (targets < 1 || targets > INT32_MAX) return c.error(cat("n_targets is ", targets));
  QUERN_ASSIGN(const Dim rows, feature_rows(c, 0));
  c.set(0, c.dtype(0), Shape{rows, targets});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  QUERN_ASSIGN(const PostTransform transform, post_transform_of(node));
  QUERN_ASSIGN(const Forest forest, read_forest(node));
  const DType given = node.input(0)->type.dtype;
  const DType type = given == DType::kF64 ? given : DType::kF32;
  QUERN_ASSIGN(Value * x, add_rows(e, node, node.input(0), type));
  Value* scores = add_forest(e, graph, forest, x, type).scores;
  e.replace(0, e.cast(add_post_transform(e, scores, forest.target_count, transform), given));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_tree_ensemble;
const OpDef op_tree_ensemble = {
    .name = "TreeEnsemble",
    .domain = kMlDomain,
    .since = 5,
    .types = types_of(DType::kF32, DType::kF64, DType::kF16),
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
