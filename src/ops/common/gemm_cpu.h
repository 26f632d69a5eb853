// Packed matrix product on the CPU, f32, SIMD, parallel over blocks of the result.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "cpu/cpu_kernel.h"

namespace quern {

/// The right operand of a product: a strided matrix, or one that `fill` makes block by block (a
/// convolution's patches).
struct GemmRight {
  const float* data = nullptr;
  int64_t row = 0, col = 1;  ///< strides in elements
  /// Writes rows k0..k1 of columns n0..n1 to dst[(k - k0) * pitch + (n - n0)].
  void (*fill)(const void* self, int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst,
               int64_t pitch) = nullptr;
  const void* self = nullptr;
};

/// c[i * c_row + j] = sum over k of a[i * a_row + k * a_col] * b(k, j), plus row_bias[i] and
/// col_bias[j] where given; with `accumulate`, plus what c holds (not with col_bias).
struct CpuGemm {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_col = 1;
  GemmRight b;
  float* c = nullptr;
  int64_t c_row = 0;
  const float* row_bias = nullptr;
  const float* col_bias = nullptr;
  bool accumulate = false;
};

/// Runs `count` products, the i-th as `at(self, i)` gives it; all have the sizes of `shape`.
Result<void> run_gemm_batch(CpuContext& ctx, const CpuGemm& shape, int64_t count,
                            CpuGemm (*at)(const void* self, int64_t i), const void* self);
inline Result<void> run_gemm(CpuContext& ctx, const CpuGemm& g) {
  return run_gemm_batch(
      ctx, g, 1, [](const void* self, int64_t) { return *static_cast<const CpuGemm*>(self); }, &g);
}

/// Floats of scratch that one gemm_block call needs.
int64_t gemm_scratch_floats();
/// Rows m0..m1 of columns n0..n1 (at most kGemmColumns of them) of one product, on this thread.
inline constexpr int64_t kGemmColumns = 128;
void gemm_block(const CpuGemm& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float* scratch);

/// Calls body(task, slot) for every task below `count` on the session's threads; calls with one
/// slot number (below `slots`) never overlap.
template <class Body>
void run_tasks(Parallel& parallel, int64_t count, int64_t slots, const Body& body);

/// Slots that run_tasks should use for `count` tasks.
inline int64_t task_slots(Parallel& parallel, int64_t count) {
  const int64_t threads = parallel.threads();
  return count < threads ? (count > 0 ? count : 1) : threads;
}

}  // namespace quern

#include <atomic>

namespace quern {

template <class Body>
void run_tasks(Parallel& parallel, int64_t count, int64_t slots, const Body& body) {
  std::atomic<int64_t> next{0};
  parallel.run(slots, 1, [&](int64_t begin, int64_t end) {
    for (int64_t slot = begin; slot < end; ++slot) {
      for (int64_t task = next.fetch_add(1); task < count; task = next.fetch_add(1)) {
        body(task, slot);
      }
    }
  });
}

}  // namespace quern
