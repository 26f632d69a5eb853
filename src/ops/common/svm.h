// What SVMClassifier and SVMRegressor share: kernels between features and support vectors.
#pragma once

#include "ops/common/ml.h"

namespace quern {

/// The attribute `kernel_type` with `kernel_params`.
struct SvmKernel {
  enum class Kind : uint8_t { kLinear, kPoly, kRbf, kSigmoid };
  Kind kind = Kind::kLinear;
  float gamma = 0, coef0 = 0, degree = 0;
};

/// Errors: an unknown kernel, or parameters that are not three.
Result<SvmKernel> svm_kernel_of(const Node& node);

/// The kernel of each row of `x` (f32 [n, features]) and each of `count` support vectors, whose
/// elements `vectors` holds: f32 [n, count].
Result<Value*> add_svm_kernels(MlExpansion& e, const Node& node, const SvmKernel& kernel, Value* x,
                               const std::vector<float>& vectors, int64_t count);

/// The elements of a required list of floats, at least `least` of them.
Result<const std::vector<float>*> svm_floats(const Node& node, std::string_view name,
                                             int64_t least);

}  // namespace quern
