#include <algorithm>

#include "cpu/cpu_kernel.h"
#include "ops/common/dft_shape.h"
#include "ops/common/fft.h"
#include "ops/common/gemm_cpu.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// Transform number `t` of all.
template <class T>
void transform(const DftShape& s, const Fft& fft, int64_t t, const T* x, T* y, Complex* data,
               Complex* work) {
  const int64_t outer = t / s.inner;
  const int64_t inner = t % s.inner;
  for (int64_t i = 0; i < s.length; ++i) {
    const bool mirrored = s.hermitian && i > s.length / 2;
    const int64_t at = mirrored ? s.length - i : i;
    if (at >= s.in_length) {
      data[i] = {};
      continue;
    }
    const T* from = x + ((outer * s.in_length + at) * s.inner + inner) * s.in_parts;
    const double im = s.in_parts == 2 ? static_cast<double>(from[1]) : 0;
    data[i] = {static_cast<double>(from[0]), mirrored ? -im : im};
  }
  fft.run(data, work);
  const double scale = s.inverse ? 1 / static_cast<double>(s.length) : 1;
  for (int64_t i = 0; i < s.out_length; ++i) {
    T* to = y + ((outer * s.out_length + i) * s.inner + inner) * s.out_parts;
    to[0] = static_cast<T>(data[i].re * scale);
    if (s.out_parts == 2) to[1] = static_cast<T>(data[i].im * scale);
  }
}

template <class T>
Result<void> run_as(CpuContext& c) {
  QUERN_ASSIGN(DftShape s, dft_shape(c));
  if (c.output(0).count() == 0) return {};
  T* y = c.out_as<T>(0);
  const Fft fft(s.length, s.inverse);
  const int64_t each = s.length + fft.work_size();
  const int64_t slots = task_slots(c.parallel(), s.transforms());
  QUERN_ASSIGN(uint8_t* bytes, c.scratch(static_cast<size_t>(slots * each) * sizeof(Complex)));
  auto* scratch = reinterpret_cast<Complex*>(bytes);
  const T* x = c.in_as<T>(0);
  run_tasks(c.parallel(), s.transforms(), slots, [&](int64_t task, int64_t slot) {
    Complex* data = scratch + slot * each;
    transform(s, fft, task, x, y, data, data + s.length);
  });
  return {};
}

Result<void> run(CpuContext& c) {
  return c.input(0).dtype == DType::kF64 ? run_as<double>(c) : run_as<float>(c);
}

}  // namespace

extern const CpuKernel cpu_dft;
const CpuKernel cpu_dft = {.types = type_bit(DType::kF32) | type_bit(DType::kF64), .run = run};

}  // namespace quern
