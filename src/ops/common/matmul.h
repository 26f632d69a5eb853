// Products by NumPy's matmul, any ranks; `transA` and `transB` (of quern.MatMul) swap an operand's
// last two axes.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/common/gemm.h"

namespace quern {

/// The shape of the product of inputs a and b; nothing where a rank is unknown.
Result<std::optional<Shape>> matmul_shape(const InferContext& ctx, size_t a, size_t b);

/// Element ctx.index() of a product is the sum of terms over `k`, below `depth`.
struct MatMulTerm {
  Expr k, depth;
  std::vector<Expr> at_a, at_b;  ///< indices into the operands
};
MatMulTerm matmul_term(ExprContext& ctx, size_t a, size_t b);

/// The dims of an operand before its last two.
inline std::span<const int64_t> batch_dims(const Dims& dims) {
  return {dims.data(), dims.size() < 2 ? 0 : dims.size() - 2};
}

/// Sizes and strides of a product in one binding.
struct MatMulSizes {
  int64_t m = 0, n = 0, k = 0;
  int64_t a_row = 0, a_col = 1, b_row = 0, b_col = 1;
  std::vector<BatchAxis> batch;
};
MatMulSizes matmul_sizes(const Node& node, const Dims& a, const Dims& b);
/// The call for inputs a and b and output 0.
GemmCall matmul_call(LowerContext& ctx, size_t a, size_t b);

}  // namespace quern
