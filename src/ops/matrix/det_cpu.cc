#include <cmath>
#include <utility>

#include "cpu/cpu_kernel.h"
#include "ops/common/gemm_cpu.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// Eliminates `a` in place.
double determinant(double* a, int64_t n) {
  double result = 1;
  for (int64_t k = 0; k < n; ++k) {
    int64_t best = k;
    for (int64_t i = k + 1; i < n; ++i) {
      if (std::abs(a[i * n + k]) > std::abs(a[best * n + k])) best = i;
    }
    if (best != k) {
      for (int64_t j = k; j < n; ++j) std::swap(a[best * n + j], a[k * n + j]);
      result = -result;
    }
    const double pivot = a[k * n + k];
    result *= pivot;
    if (pivot == 0) return result;
    for (int64_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / pivot;
      for (int64_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return result;
}

template <class T>
Result<void> run_as(CpuContext& c) {
  const int64_t n = c.input(0).dims.back();
  const int64_t count = c.output(0).count();
  const int64_t slots = task_slots(c.parallel(), count);
  QUERN_ASSIGN(uint8_t* bytes, c.scratch(static_cast<size_t>(slots * n * n) * sizeof(double)));
  auto* scratch = reinterpret_cast<double*>(bytes);
  const T* x = c.in_as<T>(0);
  T* y = c.out_as<T>(0);
  run_tasks(c.parallel(), count, slots, [&](int64_t task, int64_t slot) {
    double* a = scratch + slot * n * n;
    for (int64_t i = 0; i < n * n; ++i) a[i] = static_cast<double>(x[task * n * n + i]);
    y[task] = static_cast<T>(determinant(a, n));
  });
  return {};
}

Result<void> run(CpuContext& c) {
  return c.input(0).dtype == DType::kF64 ? run_as<double>(c) : run_as<float>(c);
}

}  // namespace

extern const CpuKernel cpu_det;
const CpuKernel cpu_det = {.types = types_of(DType::kF32, DType::kF64), .run = run};

}  // namespace quern
