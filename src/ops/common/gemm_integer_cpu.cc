#include "ops/common/gemm_integer_cpu.h"

#include <algorithm>

namespace quern {
namespace {

constexpr int64_t kSegment = 256;
constexpr int64_t kRows = 96;  // of a task: a multiple of the f32 kernel's rows

/// The right matrix from row `first` on.
struct Shifted {
  const GemmRight* b;
  int64_t first;
};

void fill_shifted(const void* self, int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst,
                  int64_t pitch) {
  const Shifted& s = *static_cast<const Shifted*>(self);
  s.b->fill(s.b->self, k0 + s.first, k1 + s.first, n0, n1, dst, pitch);
}

/// Rows m0..m1 of columns n0..n1.
void block(const CpuIntegerGemm& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1,
           float* scratch) {
  float* sums = scratch + gemm_scratch_floats();
  for (int64_t i = m0; i < m1; ++i) std::fill(g.c + i * g.c_row + n0, g.c + i * g.c_row + n1, 0);
  for (int64_t k = 0; k < g.k; k += kSegment) {
    const Shifted shifted{&g.b, k};
    CpuGemm part;
    part.m = m1 - m0;
    part.n = g.n;
    part.k = std::min(kSegment, g.k - k);
    part.a = g.a + m0 * g.a_row + k * g.a_col;
    part.a_row = g.a_row;
    part.a_col = g.a_col;
    part.b.fill = fill_shifted;
    part.b.self = &shifted;
    part.c = sums - n0;
    part.c_row = kGemmColumns;
    gemm_block(part, 0, part.m, n0, n1, scratch);
    for (int64_t i = 0; i < part.m; ++i) {
      int32_t* c = g.c + (m0 + i) * g.c_row + n0;
      const float* from = sums + i * kGemmColumns;
      for (int64_t j = 0; j < n1 - n0; ++j) {
        // It may wrap.
        c[j] = static_cast<int32_t>(static_cast<uint32_t>(c[j]) +
                                    static_cast<uint32_t>(static_cast<int32_t>(from[j])));
      }
    }
  }
}

}  // namespace

Result<void> run_integer_gemm(CpuContext& ctx, const CpuIntegerGemm& shape, int64_t count,
                              CpuIntegerGemm (*at)(const void* self, int64_t i), const void* self) {
  if (shape.m == 0 || shape.n == 0 || count == 0) return {};
  Parallel& parallel = ctx.parallel();
  const int64_t rows = (shape.m + kRows - 1) / kRows;
  const int64_t columns = (shape.n + kGemmColumns - 1) / kGemmColumns;
  const int64_t tasks = rows * columns * count;
  const int64_t slots = task_slots(parallel, tasks);
  const int64_t each = gemm_scratch_floats() + kRows * kGemmColumns;
  QUERN_ASSIGN(uint8_t* bytes, ctx.scratch(static_cast<size_t>(slots * each) * sizeof(float)));
  float* scratch = reinterpret_cast<float*>(bytes);
  run_tasks(parallel, tasks, slots, [&](int64_t task, int64_t slot) {
    const int64_t m = task % rows * kRows;
    const int64_t n = task / rows % columns * kGemmColumns;
    const CpuIntegerGemm g = at(self, task / rows / columns);
    block(g, m, std::min(g.m, m + kRows), n, std::min(g.n, n + kGemmColumns),
          scratch + slot * each);
  });
  return {};
}

Result<const float*> centred_floats(CpuContext& ctx, size_t input, size_t zero, int64_t inner,
                                    int64_t extent) {
  const int64_t count = ctx.input(input).count();
  QUERN_ASSIGN(uint8_t* bytes, ctx.scratch(static_cast<size_t>(count) * sizeof(float)));
  float* out = reinterpret_cast<float*>(bytes);
  const Bytes8 from = bytes_in(ctx, input);
  Bytes8 zeros;
  int64_t step = 0;
  if (ctx.has_input(zero)) {
    const int64_t points = ctx.input(zero).count();
    if (points != 1 && points != extent) {
      return ctx.error(cat("zero point ", ctx.input(zero).dims, " for ", extent, " rows"));
    }
    zeros = bytes_in(ctx, zero);
    step = ctx.input(zero).count() == 1 ? 0 : 1;
  }
  inner = std::max<int64_t>(inner, 1);
  ctx.parallel().run(count / inner, 1 + 16384 / inner, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const int32_t z = zeros.data != nullptr ? zeros.at(row % extent * step) : 0;
      for (int64_t i = row * inner; i < (row + 1) * inner; ++i) {
        out[i] = static_cast<float>(from.at(i) - z);
      }
    }
  });
  return out;
}

}  // namespace quern
