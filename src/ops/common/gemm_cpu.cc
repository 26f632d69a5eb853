#include "ops/common/gemm_cpu.h"

#include <algorithm>
#include <cstring>

#include "hwy/highway.h"

namespace quern {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr D kD;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(kD));
constexpr int64_t kNR = 2 * kLanes;  // columns of the microkernel
constexpr int kMR = 6;               // rows: 12 sums, 2 columns, 1 broadcast fit 16 registers
constexpr int64_t kKC = 256;
// Not a power of two: rows of one column panel fall into different cache sets.
constexpr int64_t kPitch = kGemmColumns + 16;
static_assert(kGemmColumns % kNR == 0);

/// Where the sums start.
struct Start {
  const float* row_bias = nullptr;
  const float* col_bias = nullptr;
  bool load = false;  ///< from c
};

/// `MR` rows by kNR columns over `k` steps. `columns` of them are stored.
template <int MR>
void microkernel(int64_t k, const float* HWY_RESTRICT a, int64_t a_row, int64_t a_col,
                 const float* HWY_RESTRICT b, int64_t b_row, float* HWY_RESTRICT c, int64_t c_row,
                 int64_t columns, const Start& start) {
  V sums[MR][2];
  float edge[kNR];
  for (int i = 0; i < MR; ++i) {
    sums[i][0] = start.row_bias ? hn::Set(kD, start.row_bias[i]) : hn::Zero(kD);
    sums[i][1] = sums[i][0];
    const float* from = start.load ? c + i * c_row : start.col_bias;
    if (from != nullptr) {
      if (columns < kNR) {
        std::fill(edge, edge + kNR, 0.0f);
        std::copy(from, from + columns, edge);
        from = edge;
      }
      sums[i][0] = hn::Add(sums[i][0], hn::LoadU(kD, from));
      sums[i][1] = hn::Add(sums[i][1], hn::LoadU(kD, from + kLanes));
    }
  }
  for (int64_t p = 0; p < k; ++p) {
    const V b0 = hn::LoadU(kD, b);
    const V b1 = hn::LoadU(kD, b + kLanes);
    b += b_row;
    for (int i = 0; i < MR; ++i) {
      const V v = hn::Set(kD, a[i * a_row]);
      sums[i][0] = hn::MulAdd(v, b0, sums[i][0]);
      sums[i][1] = hn::MulAdd(v, b1, sums[i][1]);
    }
    a += a_col;
  }
  for (int i = 0; i < MR; ++i) {
    float* to = columns < kNR ? edge : c + i * c_row;
    hn::StoreU(sums[i][0], kD, to);
    hn::StoreU(sums[i][1], kD, to + kLanes);
    if (columns < kNR) std::copy(edge, edge + columns, c + i * c_row);
  }
}

using Microkernel = void (*)(int64_t, const float*, int64_t, int64_t, const float*, int64_t, float*,
                             int64_t, int64_t, const Start&);
constexpr Microkernel kMicrokernels[kMR] = {microkernel<1>, microkernel<2>, microkernel<3>,
                                            microkernel<4>, microkernel<5>, microkernel<6>};

/// Rows k0..k1 of columns n0..n1 into `dst`, padded with zeros to whole panels.
void fill_right(const GemmRight& b, int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst) {
  const int64_t n = n1 - n0;
  if (b.fill != nullptr) {
    b.fill(b.self, k0, k1, n0, n1, dst, kPitch);
  } else if (b.col == 1) {
    for (int64_t k = k0; k < k1; ++k) {
      std::memcpy(dst + (k - k0) * kPitch, b.data + k * b.row + n0,
                  static_cast<size_t>(n) * sizeof(float));
    }
  } else {
    constexpr int64_t kBlock = 16;
    for (int64_t kb = k0; kb < k1; kb += kBlock) {
      const int64_t k_end = std::min(k1, kb + kBlock);
      for (int64_t j = 0; j < n; ++j) {
        const float* from = b.data + (n0 + j) * b.col;
        for (int64_t k = kb; k < k_end; ++k) dst[(k - k0) * kPitch + j] = from[k * b.row];
      }
    }
  }
  const int64_t padded = (n + kNR - 1) / kNR * kNR;
  if (padded == n) return;
  for (int64_t k = 0; k < k1 - k0; ++k) {
    std::fill(dst + k * kPitch + n, dst + k * kPitch + padded, 0.0f);
  }
}

/// A few rows against a right matrix that lies along k: dot products.
void dot_block(const CpuGemm& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1) {
  for (int64_t i = m0; i < m1; ++i) {
    const float* a = g.a + i * g.a_row;
    float* c = g.c + i * g.c_row;
    for (int64_t j = n0; j < n1; j += 4) {
      const int64_t columns = std::min<int64_t>(4, n1 - j);
      const float* b[4];
      for (int64_t q = 0; q < 4; ++q) b[q] = g.b.data + (j + std::min(q, columns - 1)) * g.b.col;
      V sums[4] = {hn::Zero(kD), hn::Zero(kD), hn::Zero(kD), hn::Zero(kD)};
      int64_t k = 0;
      for (; k + kLanes <= g.k; k += kLanes) {
        const V v = hn::LoadU(kD, a + k);
        for (int q = 0; q < 4; ++q) sums[q] = hn::MulAdd(v, hn::LoadU(kD, b[q] + k), sums[q]);
      }
      for (int64_t q = 0; q < columns; ++q) {
        float sum = hn::GetLane(hn::SumOfLanes(kD, sums[q]));
        for (int64_t t = k; t < g.k; ++t) sum += a[t] * b[q][t];
        if (g.accumulate) sum += c[j + q];
        if (g.row_bias != nullptr) sum += g.row_bias[i];
        if (g.col_bias != nullptr) sum += g.col_bias[j + q];
        c[j + q] = sum;
      }
    }
  }
}

/// kWide columns of one row, read where they lie: enough sums to hide the latency of adding.
constexpr int64_t kWide = 8 * kLanes;
void wide_row(const CpuGemm& g, int64_t m, int64_t n) {
  V sums[8];
  const V first = hn::Set(kD, g.row_bias != nullptr ? g.row_bias[m] : 0.0f);
  float* c = g.c + m * g.c_row + n;
  const float* from = g.accumulate ? c : g.col_bias != nullptr ? g.col_bias + n : nullptr;
  for (int64_t i = 0; i < 8; ++i) {
    sums[i] = from != nullptr ? hn::Add(first, hn::LoadU(kD, from + i * kLanes)) : first;
  }
  const float* a = g.a + m * g.a_row;
  const float* b = g.b.data + n;
  for (int64_t k = 0; k < g.k; ++k) {
    const V v = hn::Set(kD, a[k * g.a_col]);
    for (int64_t i = 0; i < 8; ++i) {
      sums[i] = hn::MulAdd(v, hn::LoadU(kD, b + i * kLanes), sums[i]);
    }
    b += g.b.row;
  }
  for (int64_t i = 0; i < 8; ++i) hn::StoreU(sums[i], kD, c + i * kLanes);
}

}  // namespace

int64_t gemm_scratch_floats() { return kKC * kPitch; }

void gemm_block(const CpuGemm& g, int64_t m0, int64_t m1, int64_t n0, int64_t n1, float* scratch) {
  const bool plain = g.b.fill == nullptr;
  if (plain && g.b.row == 1 && g.b.col != 1 && g.a_col == 1 && m1 - m0 <= 4) {
    dot_block(g, m0, m1, n0, n1);
    return;
  }
  // Packing pays where each packed panel is used for several groups of rows.
  const bool direct = plain && g.b.col == 1 && m1 - m0 <= 3 * kMR;
  if (direct && m1 - m0 <= 2) {
    for (; n1 - n0 >= kWide; n0 += kWide) {
      for (int64_t m = m0; m < m1; ++m) wide_row(g, m, n0);
    }
    if (n0 == n1) return;
  }
  int64_t k0 = 0;
  do {
    const int64_t k1 = std::min(g.k, k0 + kKC);
    const int64_t whole = direct ? (n1 - n0) / kNR * kNR : 0;  // columns read in place
    if (n0 + whole < n1) fill_right(g.b, k0, k1, n0 + whole, n1, scratch);
    for (int64_t n = n0; n < n1; n += kNR) {
      const bool in_place = n - n0 < whole;
      const float* b = in_place ? g.b.data + k0 * g.b.row + n : scratch + (n - n0 - whole);
      const int64_t b_row = in_place ? g.b.row : kPitch;
      for (int64_t m = m0; m < m1; m += kMR) {
        const int64_t rows = std::min<int64_t>(kMR, m1 - m);
        Start start;
        start.load = k0 > 0 || g.accumulate;
        if (k0 == 0 && g.row_bias != nullptr) start.row_bias = g.row_bias + m;
        if (k0 == 0 && g.col_bias != nullptr) start.col_bias = g.col_bias + n;
        kMicrokernels[rows - 1](k1 - k0, g.a + m * g.a_row + k0 * g.a_col, g.a_row, g.a_col, b,
                                b_row, g.c + m * g.c_row + n, g.c_row, std::min(kNR, n1 - n),
                                start);
      }
    }
    k0 = k1;
  } while (k0 < g.k);
}

Result<void> run_gemm_batch(CpuContext& ctx, const CpuGemm& shape, int64_t count,
                            CpuGemm (*at)(const void* self, int64_t i), const void* self) {
  if (shape.m == 0 || shape.n == 0 || count == 0) return {};
  Parallel& parallel = ctx.parallel();
  const int64_t blocks_n = (shape.n + kGemmColumns - 1) / kGemmColumns;
  // Rows are split where columns and batches leave threads idle, but not so finely that packing
  // dominates.
  int64_t blocks_m = 1;
  while (blocks_n * count * blocks_m < 3 * parallel.threads() &&
         shape.m / (blocks_m + 1) >= 8 * kMR) {
    ++blocks_m;
  }
  const int64_t step_m = ((shape.m + blocks_m - 1) / blocks_m + kMR - 1) / kMR * kMR;
  blocks_m = (shape.m + step_m - 1) / step_m;
  // Narrower column blocks where there are few.
  int64_t step_n = kGemmColumns;
  while (step_n > 2 * kNR &&
         (shape.n + step_n - 1) / step_n * count * blocks_m < 2 * parallel.threads()) {
    step_n /= 2;
  }
  const int64_t columns = (shape.n + step_n - 1) / step_n;
  const int64_t tasks = count * columns * blocks_m;
  const double work = static_cast<double>(shape.m) * static_cast<double>(shape.n) *
                      static_cast<double>(shape.k + 1) * static_cast<double>(count);
  const int64_t slots = work < 30000 ? 1 : task_slots(parallel, tasks);
  QUERN_ASSIGN(uint8_t* bytes,
               ctx.scratch(static_cast<size_t>(slots * gemm_scratch_floats()) * sizeof(float)));
  float* scratch = reinterpret_cast<float*>(bytes);
  run_tasks(parallel, tasks, slots, [&](int64_t task, int64_t slot) {
    const int64_t m = task % blocks_m;
    const int64_t rest = task / blocks_m;
    const int64_t n = rest % columns;
    const CpuGemm g = at(self, rest / columns);
    gemm_block(g, m * step_m, std::min(g.m, (m + 1) * step_m), n * step_n,
               std::min(g.n, (n + 1) * step_n), scratch + slot * gemm_scratch_floats());
  });
  return {};
}

}  // namespace quern
