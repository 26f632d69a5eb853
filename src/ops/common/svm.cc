#include "ops/common/svm.h"

#include <algorithm>

namespace quern {

Result<SvmKernel> svm_kernel_of(const Node& node) {
  constexpr std::string_view kNames[] = {"LINEAR", "POLY", "RBF", "SIGMOID"};
  SvmKernel kernel;
  const std::string_view name = node.string_or("kernel_type", "LINEAR");
  const auto* found = std::ranges::find(kNames, name);
  if (found == std::end(kNames)) {
    return invalid_model(cat(node.describe(), ": unknown kernel_type \"", name,
                             "\", expected LINEAR, POLY, RBF or SIGMOID"));
  }
  kernel.kind = static_cast<SvmKernel::Kind>(found - kNames);
  const std::vector<float>* params = node.floats("kernel_params");
  if (params == nullptr || params->empty()) return kernel;
  if (params->size() != 3) {
    return invalid_model(cat(node.describe(), ": ", params->size(),
                             " kernel_params, expected gamma, coef0, degree"));
  }
  kernel.gamma = (*params)[0];
  kernel.coef0 = (*params)[1];
  kernel.degree = (*params)[2];
  return kernel;
}

Result<const std::vector<float>*> svm_floats(const Node& node, std::string_view name,
                                             int64_t least) {
  const std::vector<float>* values = node.floats(name);
  const int64_t count = values == nullptr ? 0 : std::ssize(*values);
  if (count < least) {
    return invalid_model(
        cat(node.describe(), ": ", count, " ", name, ", expected at least ", least));
  }
  return values;
}

Result<Value*> add_svm_kernels(MlExpansion& e, const Node& node, const SvmKernel& kernel, Value* x,
                               const std::vector<float>& vectors, int64_t count) {
  if (count < 1 || vectors.empty() || std::ssize(vectors) % count != 0) {
    return invalid_model(cat(node.describe(), ": ", vectors.size(), " elements of support_vectors",
                             " for ", count, " vectors"));
  }
  const int64_t features = std::ssize(vectors) / count;
  if (kernel.kind == SvmKernel::Kind::kRbf) {
    Value* support = e.floats({1, count, features}, vectors);
    Value* difference = e.add("Sub", {e.add("Unsqueeze", {x, e.ints({1})}), support});
    Value* squares = e.add("Mul", {difference, difference});
    Value* distance = e.add("ReduceSum", {squares, e.ints({2})}, {{"keepdims", int64_t{0}}});
    return e.add("Exp", {e.add("Mul", {distance, e.number(DType::kF32, -kernel.gamma)})});
  }
  Value* products =
      e.add("Gemm", {x, e.floats({count, features}, vectors)}, {{"transB", int64_t{1}}});
  if (kernel.kind == SvmKernel::Kind::kLinear) return products;
  Value* scaled = e.add("Add", {e.add("Mul", {products, e.number(DType::kF32, kernel.gamma)}),
                                e.number(DType::kF32, kernel.coef0)});
  if (kernel.kind == SvmKernel::Kind::kSigmoid) return e.add("Tanh", {scaled});
  return e.add("Pow", {scaled, e.number(DType::kF32, kernel.degree)});
}

}  // namespace quern
