// TreeEnsembleClassifier: decision trees, whose leaves give weights to classes.
#include <algorithm>

#include "ops/common/forest.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"base_values", AttributeKind::kFloats},
    {"base_values_as_tensor", AttributeKind::kTensor},
    {"class_ids", AttributeKind::kInts},
    {"class_nodeids", AttributeKind::kInts},
    {"class_treeids", AttributeKind::kInts},
    {"class_weights", AttributeKind::kFloats},
    {"class_weights_as_tensor", AttributeKind::kTensor},
    {"classlabels_int64s", AttributeKind::kInts},
    {"classlabels_strings", AttributeKind::kStrings},
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
};

Result<void> infer(InferContext& c) {
  QUERN_TRY(post_transform_of(c.node()));
  const ClassLabels labels = class_labels(c.node(), "classlabels_int64s");
  if (labels.count() == 0) return c.error("there are no class labels");
  QUERN_ASSIGN(const Dim rows, feature_rows(c, 0));
  c.set(0, labels.are_strings() ? DType::kString : DType::kI64, Shape{rows});
  c.set(1, DType::kF32, Shape{rows, labels.count()});
  return {};
}

/// Are all weights for one class?
bool is_single(const Forest& forest) {
  const auto [low, high] = std::ranges::minmax(forest.targets);
  return low == high;
}
bool all_positive(const Forest& forest) {
  for (int64_t i = 0; i < forest.weights->host.count(); ++i) {
    if (forest.weights->host.float_at(i) < 0) return false;
  }
  return true;
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  QUERN_ASSIGN(const PostTransform transform, post_transform_of(node));
  const ClassLabels labels = class_labels(node, "classlabels_int64s");
  const int64_t classes = labels.count();
  QUERN_ASSIGN(const Forest forest, read_node_lists(node, "class", classes));
  const DType type = node.input(0)->type.dtype == DType::kF64 ? DType::kF64 : DType::kF32;
  QUERN_ASSIGN(Value * x, add_rows(e, node, node.input(0), type));
  const ForestValues values = add_forest(e, graph, forest, x, type);
  Value* scores = values.scores;
  const ConstantPtr base = float_attribute(node, "base_values");
  if (base != nullptr) {
    Value* base_values = e.cast(graph.add_constant("", base), type);
    scores = e.add("Add", {scores, base_values});
  }
  if (classes == 2 && !forest.targets.empty() && is_single(forest)) {
    // Weights for one of two classes: its score says which. As the first class's they stand for
    // both, as runtimes in use have it.
    const int32_t column = forest.targets[0];
    const bool positive = all_positive(forest);
    Value* score = e.add("Gather", {scores, e.ints({column})}, {{"axis", int64_t{1}}});
    add_binary_label(e, labels, score, positive ? 0.5 : 0.0);
    e.replace(1, column == 0 ? add_binary_scores(e, score, transform, true, positive)
                             : add_post_transform(e, e.cast(scores, DType::kF32), 2, transform));
  } else {
    // A class that no leaf of the row names is not chosen, be the others' scores negative.
    Value* seen = classes > 2 && base == nullptr ? add_seen(e, forest, values) : nullptr;
    add_best_class(e, labels, scores, seen);
    e.replace(1, add_post_transform(e, e.cast(scores, DType::kF32), classes, transform));
  }
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_tree_ensemble_classifier;
const OpDef op_tree_ensemble_classifier = {
    .name = "TreeEnsembleClassifier",
    .domain = kMlDomain,
    .min_outputs = 2,
    .max_outputs = 2,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
