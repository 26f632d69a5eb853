#include <cmath>
#include <utility>

#include "cpu/cpu_kernel.h"
#include "ops/common/gemm_cpu.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// `a` holds n rows of 2 n: a matrix and the unit matrix; afterwards that and the inverse.
void invert(double* a, int64_t n) {
  const int64_t width = 2 * n;
  for (int64_t k = 0; k < n; ++k) {
    int64_t best = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i * width + k]) > std::abs(a[best * width + k])) best = i;
    }
    const double pivot = a[best * width + k];
    for (int64_t j = k; j < width; ++j) {
      std::swap(a[best * width + j], a[k * width + j]);
      a[k * width + j] /= pivot;
    }
    for (int64_t i = 0; i < n; ++i) {
      if (i == k) continue;
      const double factor = a[i * width + k];
      for (int64_t j = k; j < width; ++j) a[i * width + j] -= factor * a[k * width + j];
    }
  }
}

template <class T>
Result<void> run_as(CpuContext& c) {
  const int64_t n = c.input(0).dims.back();
  if (c.input(0).count() == 0) return {};
  const int64_t count = c.input(0).count() / (n * n);
  const int64_t slots = task_slots(c.parallel(), count);
  QUERN_ASSIGN(uint8_t* bytes, c.scratch(static_cast<size_t>(slots * n * n * 2) * sizeof(double)));
  auto* scratch = reinterpret_cast<double*>(bytes);
  const T* x = c.in_as<T>(0);
  T* y = c.out_as<T>(0);
  run_tasks(c.parallel(), count, slots, [&](int64_t task, int64_t slot) {
    double* a = scratch + slot * n * n * 2;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        a[i * 2 * n + j] = static_cast<double>(x[(task * n + i) * n + j]);
        a[i * 2 * n + n + j] = i == j ? 1 : 0;
      }
    }
    invert(a, n);
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        y[(task * n + i) * n + j] = static_cast<T>(a[i * 2 * n + n + j]);
      }
    }
  });
  return {};
}

Result<void> run(CpuContext& c) {
  return c.input(0).dtype == DType::kF64 ? run_as<double>(c) : run_as<float>(c);
}

}  // namespace

extern const CpuKernel cpu_inverse;
const CpuKernel cpu_inverse = {.types = types_of(DType::kF32, DType::kF64), .run = run};

}  // namespace quern
