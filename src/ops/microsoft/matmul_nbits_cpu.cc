#include <algorithm>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "ops/common/gemm_cpu.h"
#include "ops/common/nbits.h"

namespace quern {
namespace {

using enum nbits::Input;

/// b, as floats on demand.
struct Weights {
  NBits q;
  const uint8_t* b = nullptr;
  const float* scales = nullptr;
  const uint8_t* zero_bytes = nullptr;
  const float* zero_floats = nullptr;

  [[nodiscard]] float zero_point(int64_t n, int64_t block) const {
    if (zero_floats != nullptr) return zero_floats[n * q.blocks() + block];
    if (zero_bytes == nullptr) return static_cast<float>(1 << (q.bits - 1));
    const int64_t bit = block * q.bits;
    const int byte = zero_bytes[n * q.zero_row() + bit / 8];
    return static_cast<float>(byte >> (bit % 8) & ((1 << q.bits) - 1));
  }

  /// Elements k0..k1 of row n, within one block, to dst[(k - k0) * pitch].
  void unpack(int64_t n, int64_t k0, int64_t k1, float* dst, int64_t pitch) const {
    const int64_t block = k0 / q.block;
    const float scale = scales[n * q.blocks() + block];
    const float shift = -zero_point(n, block) * scale;
    const uint8_t* row = b + n * q.row_bytes();
    const auto per_byte = 8 / q.bits;
    const int mask = (1 << q.bits) - 1;
    for (int64_t k = k0; k < k1; ++k) {
      const int code = row[k / per_byte] >> (k % per_byte * q.bits) & mask;
      dst[(k - k0) * pitch] = static_cast<float>(code) * scale + shift;
    }
  }
};

void fill(const void* self, int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst,
          int64_t pitch) {
  const Weights& w = *static_cast<const Weights*>(self);
  for (int64_t n = n0; n < n1; ++n) {
    for (int64_t k = k0; k < k1;) {
      const int64_t end = std::min(k1, (k / w.q.block + 1) * w.q.block);
      w.unpack(n, k, end, dst + (k - k0) * pitch + (n - n0), pitch);
      k = end;
    }
  }
}

/// A few rows: each row of b is unpacked once, and multiplied as it is.
void multiply_rows(CpuContext& ctx, const Weights& w, const float* a, int64_t m, const float* bias,
                   float* y) {
  ctx.parallel().run(w.q.n, 1 + 65536 / w.q.k, [&](int64_t begin, int64_t end) {
    std::vector<float> row(static_cast<size_t>(w.q.k));
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t k = 0; k < w.q.k; k += w.q.block) {
        w.unpack(n, k, std::min(w.q.k, k + w.q.block), row.data() + k, 1);
      }
      for (int64_t i = 0; i < m; ++i) {
        float sums[16] = {};
        const float* left = a + i * w.q.k;
        int64_t k = 0;
        for (; k + 16 <= w.q.k; k += 16) {
          for (int64_t j = 0; j < 16; ++j) sums[j] += left[k + j] * row[static_cast<size_t>(k + j)];
        }
        float sum = bias != nullptr ? bias[n] : 0.0f;
        for (; k < w.q.k; ++k) sum += left[k] * row[static_cast<size_t>(k)];
        for (float s : sums) sum += s;
        y[i * w.q.n + n] = sum;
      }
    }
  });
}

Result<void> run(CpuContext& ctx) {
  Weights w;
  QUERN_ASSIGN(w.q, read_nbits(ctx.node()));
  w.b = ctx.in_as<uint8_t>(kB);
  w.scales = ctx.in_as<float>(kScales);
  if (ctx.has_input(kZeroPoints)) {
    if (is_float(ctx.input(kZeroPoints).dtype)) {
      w.zero_floats = ctx.in_as<float>(kZeroPoints);
    } else {
      w.zero_bytes = ctx.in_as<uint8_t>(kZeroPoints);
    }
  }
  const float* bias = ctx.has_input(kBias) ? ctx.in_as<float>(kBias) : nullptr;
  const float* a = ctx.in_as<float>(kA);
  float* y = ctx.out_as<float>(0);
  const int64_t m = ctx.output(0).count() / w.q.n;
  if (m <= 4) {
    multiply_rows(ctx, w, a, m, bias, y);
    return {};
  }
  CpuGemm g;
  g.m = m;
  g.n = w.q.n;
  g.k = w.q.k;
  g.a = a;
  g.a_row = w.q.k;
  g.b.fill = fill;
  g.b.self = &w;
  g.c = y;
  g.c_row = w.q.n;
  g.col_bias = bias;
  return run_gemm(ctx, g);
}

}  // namespace

extern const CpuKernel cpu_matmul_nbits;
const CpuKernel cpu_matmul_nbits = {.run = run};

}  // namespace quern
