// LinearClassifier: a linear score for each class, and the label of the best one.
#include "ops/common/linear_model.h"
#include "ops/common/ml.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"classlabels_ints", AttributeKind::kInts},
                                          {"classlabels_strings", AttributeKind::kStrings},
                                          {"coefficients", AttributeKind::kFloats, true},
                                          {"intercepts", AttributeKind::kFloats},
                                          {"multi_class", AttributeKind::kInt},
                                          {"post_transform", AttributeKind::kString}};

/// Scores of a row: by the intercepts, else by the labels.
int64_t score_count(const Node& node, const ClassLabels& labels) {
  const std::vector<float>* intercepts = node.floats("intercepts");
  if (intercepts != nullptr && !intercepts->empty()) return std::ssize(*intercepts);
  return std::max<int64_t>(labels.count(), 1);
}

Result<void> infer(InferContext& c) {
  const ClassLabels labels = class_labels(c.node(), "classlabels_ints");
  QUERN_TRY(post_transform_of(c.node()));
  QUERN_ASSIGN(const Dim rows, feature_rows(c, 0));
  const int64_t count = score_count(c.node(), labels);
  if (count > 1 && labels.count() < count) {
    return c.error(cat(labels.count(), " labels for ", count, " classes"));
  }
  c.set(0, labels.are_strings() ? DType::kString : DType::kI64, Shape{rows});
  c.set(1, DType::kF32, Shape{rows, count == 1 && labels.count() == 2 ? 2 : count});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  const ClassLabels labels = class_labels(node, "classlabels_ints");
  const int64_t count = score_count(node, labels);
  QUERN_ASSIGN(const PostTransform transform, post_transform_of(node));
  QUERN_ASSIGN(Value * scores, add_linear_scores(e, node, count));
  if (count == 1) {
    add_binary_label(e, labels, scores, 0);
    e.replace(1, add_binary_scores(e, scores, transform, labels.count() == 2, true));
  } else {
    add_best_class(e, labels, scores);
    e.replace(1, add_post_transform(e, scores, count, transform));
  }
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_linear_classifier;
const OpDef op_linear_classifier = {
    .name = "LinearClassifier",
    .domain = kMlDomain,
    .min_outputs = 2,
    .max_outputs = 2,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
