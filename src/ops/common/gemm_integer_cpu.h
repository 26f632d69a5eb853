// Products of 8-bit integers on the CPU, exact: the f32 kernels do 256 steps of the depth, whose
// sums f32 holds exactly (products stay below 2^16), and i32 adds these up.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "cpu/cpu_kernel.h"
#include "ops/common/gemm_cpu.h"

namespace quern {

/// c[i * c_row + j] = sum over k of a[i * a_row + k * a_col] * b(k, j), where all are integers of
/// at most 255 in size.
struct CpuIntegerGemm {
  int64_t m = 0, n = 0, k = 0;
  const float* a = nullptr;
  int64_t a_row = 0, a_col = 1;
  GemmRight b;  ///< with `fill`
  int32_t* c = nullptr;
  int64_t c_row = 0;
};

/// Runs `count` products, the i-th as `at(self, i)` gives it; all have the sizes of `shape`.
Result<void> run_integer_gemm(CpuContext& ctx, const CpuIntegerGemm& shape, int64_t count,
                              CpuIntegerGemm (*at)(const void* self, int64_t i), const void* self);

/// A tensor of 8-bit integers.
struct Bytes8 {
  const uint8_t* data = nullptr;
  bool is_signed = false;
  [[nodiscard]] int32_t at(int64_t i) const {
    return is_signed ? static_cast<int8_t>(data[i]) : data[i];
  }
};
inline Bytes8 bytes_in(CpuContext& ctx, size_t input) {
  return {ctx.in_as<uint8_t>(input), ctx.input(input).dtype == DType::kI8};
}

/// Input `input` as f32, less zero point `zero` (an input that may be absent), which is one number
/// or differs along an axis: element i has number i / inner % extent. In scratch memory.
Result<const float*> centred_floats(CpuContext& ctx, size_t input, size_t zero, int64_t inner,
                                    int64_t extent);

}  // namespace quern
