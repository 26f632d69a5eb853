// Batched matrix products on the GPU: the one place that picks among matmul.wgsl, matvec.wgsl and
// their integer forms.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"
#include "ops/common/tiling.h"
#include "shader/lower.h"

namespace quern {

/// An axis of a batch: its size, and how many elements apart its matrices lie (0: broadcast).
struct BatchAxis {
  int64_t size = 1;
  int64_t a = 0;
  int64_t b = 0;
  friend bool operator==(const BatchAxis&, const BatchAxis&) = default;
};

/// The batch axes of a product a[..., m, k] x b[..., k, n] of dense operands by NumPy's
/// broadcasting, outermost first; `a` and `b` are the dims before the last two.
std::vector<BatchAxis> batch_axes(std::span<const int64_t> a, std::span<const int64_t> b,
                                  int64_t a_matrix, int64_t b_matrix);
/// How many matrices they are.
int64_t batch_count(const std::vector<BatchAxis>& axes);
/// Drops axes of size 1 and merges neighbours that are one stride in both operands.
std::vector<BatchAxis> collapse_batch(const std::vector<BatchAxis>& axes);

/// y = alpha * a b + beta * c for a batch; y is dense, [batch..., m, n]. Strides in elements.
struct GemmCall {
  KernelBinding a, b, y;
  std::optional<KernelBinding> c;  ///< one for all batches
  int64_t m = 0, n = 0, k = 0;
  int64_t a_row = 0, a_col = 1;
  int64_t b_row = 0, b_col = 1;
  int64_t c_row = 0, c_col = 0;
  int64_t a_start = 0, b_start = 0;  ///< the first element
  float alpha = 1.0f, beta = 1.0f;
  std::vector<BatchAxis> batch;  ///< any number
  bool epilogue = true;          ///< y takes the node's fused epilogue
  /// What changes from binding to binding, where that is known: then every variant that may be
  /// wanted is made at once.
  std::optional<Varies> varies;
  /// Exact, of operands of 8 bits less their zero points; y is i32 (no alpha, beta, c).
  bool integer = false;
  std::optional<KernelBinding> a_zero, b_zero;
  int64_t a_zero_step = 0, b_zero_step = 0;  ///< from row to row of a, from column to column of b
};
Result<void> dispatch_gemm(LowerContext& ctx, GemmCall g);

/// silu(a b) * (a up), where that is a product of one row and all fours are aligned; else false,
/// and nothing is dispatched. `up` is a matrix as b is.
Result<bool> dispatch_gated_vector(LowerContext& ctx, const GemmCall& g, const KernelBinding& up);

/// The second pass: y = alpha * the sum of `slices` + beta * c, of `count` matrices m x n.
struct SliceSum {
  KernelBinding x, y;
  std::optional<KernelBinding> c;  ///< of row r (of m) and column: at r * c_row + column * c_col
  int64_t slices = 1, count = 1, m = 0, n = 0, y_start = 0;
  int64_t c_row = 0, c_col = 0;
  float alpha = 1.0f, beta = 1.0f;
  bool epilogue = true;
};
Result<void> dispatch_slice_sum(LowerContext& ctx, const SliceSum& sum);

/// Is it a float type that hand-written kernels compute in f32?
inline bool is_f32_like(DType t) {
  return t == DType::kF32 || t == DType::kF16 || t == DType::kBF16;
}

/// A count that kernels can index with u32, or an error.
Result<void> check_u32(LowerContext& ctx, int64_t count);

}  // namespace quern
