// SVMRegressor: kernels of the features and the support vectors, weighted; without support vectors
// a linear function.
#include "ops/common/svm.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"coefficients", AttributeKind::kFloats, true},
                                          {"kernel_params", AttributeKind::kFloats},
                                          {"kernel_type", AttributeKind::kString},
                                          {"n_supports", AttributeKind::kInt},
                                          {"one_class", AttributeKind::kInt},
                                          {"post_transform", AttributeKind::kString},
                                          {"rho", AttributeKind::kFloats, true},
                                          {"support_vectors", AttributeKind::kFloats}};

Result<void> infer(InferContext& c) {
  QUERN_TRY(post_transform_of(c.node()));
  QUERN_TRY(svm_kernel_of(c.node()));
  QUERN_ASSIGN(const Dim rows, feature_rows(c, 0));
  c.set(0, DType::kF32, Shape{rows, 1});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  MlExpansion e(graph, node);
  QUERN_ASSIGN(const PostTransform transform, post_transform_of(node));
  QUERN_ASSIGN(SvmKernel kernel, svm_kernel_of(node));
  const int64_t supports = node.int_or("n_supports", 0);
  QUERN_ASSIGN(const std::vector<float>* weights,
               svm_floats(node, "coefficients", std::max<int64_t>(supports, 1)));
  QUERN_ASSIGN(const std::vector<float>* rho, svm_floats(node, "rho", 1));
  QUERN_ASSIGN(Value * values, add_rows(e, node, node.inputs[0], DType::kF32));
  if (supports > 0) {
    QUERN_ASSIGN(const std::vector<float>* vectors, svm_floats(node, "support_vectors", supports));
    QUERN_ASSIGN(values, add_svm_kernels(e, node, kernel, values, *vectors, supports));
  }
  const int64_t count = supports > 0 ? supports : std::ssize(*weights);
  const std::vector<float> column(weights->begin(), weights->begin() + count);
  Value* score = e.add("Gemm", {values, e.floats({count, 1}, column), e.floats({(*rho)[0]})});
  if (node.int_or("one_class", 0) != 0) {
    Value* inside = e.add("Greater", {score, e.number(DType::kF32, 0)});
    score = e.add("Where", {inside, e.number(DType::kF32, 1), e.number(DType::kF32, -1)});
  }
  e.replace(0, add_post_transform(e, score, 1, transform));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_svm_regressor;
const OpDef op_svm_regressor = {
    .name = "SVMRegressor",
    .domain = kMlDomain,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
