// TreeEnsembleRegressor: decision trees, whose leaves give weights to targets.
#include "ops/common/forest.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"aggregate_function", AttributeKind::kString},
    {"base_values", AttributeKind::kFloats},
    {"base_values_as_tensor", AttributeKind::kTensor},
    {"n_targets", AttributeKind::kInt},
    {"nodes_falsenodeids", AttributeKind::kInts},
    {"nodes_featureids", AttributeKind::kInts},
    {"nodes_hitrates", AttributeKind::kFloats},
    {"nodes_hitrates_as_tensor", AttributeKind::kTensor},
    {"nodes_missing_value_tracks_true", AttributeKind::kInts},
    {"nodes_modes", AttributeKind::kStrings},
    {"nodes_nodeids", AttributeKind::kInts},
    {"nodes_treeids", AttributeKind::kInts},
    {"nodes_truenodeids", AttributeKind::kInts},
    {"nodes_values", AttributeKind::kFloats},
    {"nodes_values_as_tensor", AttributeKind::kTensor},
    {"post_transform", AttributeKind::kString},
    {"target_ids", AttributeKind::kInts},
    {"target_nodeids", AttributeKind::kInts},
    {"target_treeids", AttributeKind::kInts},
    {"target_weights", AttributeKind::kFloats},
    {"target_weights_as_tensor", AttributeKind::kTensor},
};

Result<void> infer(InferContext& c) {
  QUERN_TRY(post_transform_of(c.node()));
  const int64_t targets = c.node().int_or("n_targets", 1);
  if (targets < 1 || targets > INT32_MAX) return c.error(cat("n_targets is ", targets));
  QUERN_ASSIGN(const Dim rows, feature_rows(c, 0));
  c.set(0, DType::kF32, Shape{rows, targets});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  QUERN_ASSIGN(const PostTransform transform, post_transform_of(node));
  const int64_t targets = node.int_or("n_targets", 1);
  QUERN_ASSIGN(const Forest forest, read_node_lists(node, "target", targets));
  const DType type = node.input(0)->type.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
  QUERN_ASSIGN(Value * x, add_rows(e, node, node.input(0), type));
  const ForestValues values = add_forest(e, graph, forest, x, type);
  Value* scores = values.scores;
  if (const ConstantPtr base = float_attribute(node, "base_values")) {
    scores = e.add("Add", {scores, e.cast(graph.add_constant("", base), type)});
    // A target without a least or greatest weight stays 0.
    const bool ordered =
        forest.aggregate == LeafAggregate::kMin || forest.aggregate == LeafAggregate::kMax;
    if (Value* seen = ordered ? add_seen(e, forest, values) : nullptr) {
      scores = e.add("Where", {seen, scores, values.scores});
    }
  }
  scores = e.cast(scores, DType::kF32);
  e.replace(0, add_post_transform(e, scores, targets, transform));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_tree_ensemble_regressor;
const OpDef op_tree_ensemble_regressor = {
    .name = "TreeEnsembleRegressor",
    .domain = kMlDomain,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
