// LinearRegressor: features times coefficients, plus intercepts.
#include "ops/common/linear_model.h"
#include "ops/common/ml.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"coefficients", AttributeKind::kFloats},
                                          {"intercepts", AttributeKind::kFloats},
                                          {"post_transform", AttributeKind::kString},
                                          {"targets", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  QUERN_TRY(post_transform_of(c.node()));
  QUERN_ASSIGN(const Dim rows, feature_rows(c, 0));
  const int64_t targets = c.node().int_or("targets", 1);
  if (targets < 1 || targets > INT32_MAX) return c.error(cat("targets is ", targets));
  c.set(0, DType::kF32, Shape{rows, targets});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  const int64_t targets = node.int_or("targets", 1);
  QUERN_ASSIGN(const PostTransform transform, post_transform_of(node));
  QUERN_ASSIGN(Value * scores, add_linear_scores(e, node, targets));
  e.replace(0, add_post_transform(e, scores, targets, transform));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_linear_regressor;
const OpDef op_linear_regressor = {
    .name = "LinearRegressor",
    .domain = kMlDomain,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
