#include <algorithm>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "ops/common/gemm_integer_cpu.h"
#include "ops/common/matmul.h"

namespace quern {
namespace {

enum Input : size_t { kA, kB, kAZero, kBZero };

/// The right matrix of one product.
struct Right {
  Bytes8 b, zero;
  int64_t row = 0, col = 0, zero_step = 0;
};

void fill(const void* self, int64_t k0, int64_t k1, int64_t n0, int64_t n1, float* dst,
          int64_t pitch) {
  const Right& r = *static_cast<const Right*>(self);
  for (int64_t k = k0; k < k1; ++k) {
    float* row = dst + (k - k0) * pitch;
    for (int64_t n = n0; n < n1; ++n) {
      const int32_t z = r.zero.data != nullptr ? r.zero.at(n * r.zero_step) : 0;
      row[n - n0] = static_cast<float>(r.b.at(k * r.row + n * r.col) - z);
    }
  }
}

struct Batch {
  CpuIntegerGemm g;
  std::vector<BatchAxis> axes;
  std::vector<Right> rights;  // one a product
};

/// The first zero point of matrix `index` of an operand (its batch axes counted together, sizes
/// given), where zero points may differ between matrices.
int64_t zero_start(const Dims& zero, std::span<const int64_t> batch, int64_t index) {
  if (zero.size() < 3) return 0;
  int64_t start = 0;
  int64_t stride = zero[zero.size() - 1] * zero[zero.size() - 2];
  for (size_t i = 0; i < batch.size(); ++i) {
    const int64_t extent = batch[batch.size() - 1 - i];
    const int64_t at = index % extent;
    index /= extent;
    if (i + 2 >= zero.size()) continue;
    const int64_t own = zero[zero.size() - 3 - i];
    if (own != 1) start += at % own * stride;
    stride *= own;
  }
  return start;
}

/// Zero points are one, as many as rows (of a) or columns (of b), or those of each matrix, where
/// `zero` broadcasts to the operand with one number along the other axis.
Result<void> check_zero(CpuContext& ctx, size_t input, size_t operand, bool rows, int64_t extent) {
  const Dims& zero = ctx.input(input).dims;
  const Dims& of = ctx.input(operand).dims;
  const int64_t count = ctx.input(input).count();
  if (count == 1 || (zero.size() == 1 && count == extent)) return {};
  bool fits = zero.size() >= 2 && zero.size() == of.size();
  for (size_t i = 0; fits && i < zero.size(); ++i) {
    const bool inner = i + (rows ? 1 : 2) == zero.size();
    fits = zero[i] == 1 || (zero[i] == of[i] && !inner);
  }
  if (fits) return {};
  return ctx.error(cat("zero point ", zero, " of an operand ", of));
}

/// a as f32, less its zero points.
Result<const float*> left_floats(CpuContext& ctx, int64_t m, int64_t k) {
  const TensorInfo& info = ctx.input(kA);
  if (ctx.has_input(kAZero)) QUERN_TRY(check_zero(ctx, kAZero, kA, true, m));
  const bool each = ctx.has_input(kAZero) && ctx.input(kAZero).count() > m;
  if (!each) return centred_floats(ctx, kA, kAZero, k, std::max<int64_t>(m, 1));
  QUERN_ASSIGN(uint8_t* bytes, ctx.scratch(static_cast<size_t>(info.count()) * sizeof(float)));
  float* out = reinterpret_cast<float*>(bytes);
  const Bytes8 a = bytes_in(ctx, kA);
  const Bytes8 zero = bytes_in(ctx, kAZero);
  const Dims& dims = ctx.input(kAZero).dims;
  const int64_t step = dims[dims.size() - 2] == 1 ? 0 : 1;
  for (int64_t row = 0; row * k < info.count(); ++row) {
    const int32_t z = zero.at(zero_start(dims, batch_dims(info.dims), row / m) + row % m * step);
    for (int64_t i = row * k; i < (row + 1) * k; ++i) out[i] = static_cast<float>(a.at(i) - z);
  }
  return out;
}

Result<void> run(CpuContext& ctx) {
  const Dims& b_dims = ctx.input(kB).dims;
  const MatMulSizes s = matmul_sizes(ctx.node(), ctx.input(kA).dims, b_dims);
  Batch batch;
  batch.axes = collapse_batch(s.batch);
  int64_t count = 1;
  for (const BatchAxis& axis : batch.axes) count *= axis.size;
  CpuIntegerGemm& g = batch.g;
  g.m = s.m;
  g.n = s.n;
  g.k = s.k;
  QUERN_ASSIGN(g.a, left_floats(ctx, s.m, s.k));
  g.a_row = s.a_row;
  g.a_col = s.a_col;
  g.b.fill = fill;
  g.c = ctx.out_as<int32_t>(0);
  g.c_row = s.n;
  Right right{bytes_in(ctx, kB), {}, s.b_row, s.b_col, 0};
  if (ctx.has_input(kBZero)) {
    QUERN_TRY(check_zero(ctx, kBZero, kB, false, s.n));
    right.zero = bytes_in(ctx, kBZero);
    const Dims& zero = ctx.input(kBZero).dims;
    right.zero_step = zero.empty() || zero.back() == 1 ? 0 : 1;
  }
  for (int64_t i = 0; i < count; ++i) {
    Right one = right;
    int64_t rest = i;
    for (size_t axis = batch.axes.size(); axis-- > 0;) {
      one.b.data += rest % batch.axes[axis].size * batch.axes[axis].b;
      rest /= batch.axes[axis].size;
    }
    const int64_t matrix = (one.b.data - right.b.data) / std::max<int64_t>(s.k * s.n, 1);
    if (right.zero.data != nullptr) {
      one.zero.data += zero_start(ctx.input(kBZero).dims, batch_dims(b_dims), matrix);
    }
    batch.rights.push_back(one);
  }
  return run_integer_gemm(
      ctx, g, count,
      [](const void* self, int64_t i) {
        const Batch& all = *static_cast<const Batch*>(self);
        CpuIntegerGemm one = all.g;
        one.c += i * one.m * one.n;
        one.b.self = &all.rights[static_cast<size_t>(i)];
        for (size_t axis = all.axes.size(); axis-- > 0;) {
          one.a += i % all.axes[axis].size * all.axes[axis].a;
          i /= all.axes[axis].size;
        }
        return one;
      },
      &batch);
}

}  // namespace

extern const CpuKernel cpu_matmul_integer;
const CpuKernel cpu_matmul_integer = {.types = 1u << 2 | 1u << 3, .run = run};

}  // namespace quern
