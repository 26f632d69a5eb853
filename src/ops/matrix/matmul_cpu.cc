#include <algorithm>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "ops/common/gemm.h"
#include "ops/common/gemm_cpu.h"

namespace quern {
namespace {

struct Batch {
  CpuGemm g;
  std::vector<BatchAxis> axes;
};

Result<void> run(CpuContext& ctx) {
  const Dims& a = ctx.input(0).dims;
  const Dims& b = ctx.input(1).dims;
  Batch batch;
  CpuGemm& g = batch.g;
  g.k = a.back();
  g.m = a.size() > 1 ? a[a.size() - 2] : 1;
  g.n = b.size() > 1 ? b.back() : 1;
  g.a = ctx.in_as<float>(0);
  g.a_row = g.k;
  g.b.data = ctx.in_as<float>(1);
  g.b.row = g.n;
  const std::span<const int64_t> a_batch(a.data(), a.size() - std::min<size_t>(2, a.size()));
  const std::span<const int64_t> b_batch(b.data(), b.size() - std::min<size_t>(2, b.size()));
  batch.axes = collapse_batch(batch_axes(a_batch, b_batch, g.m * g.k, g.k * g.n));
  if (!batch.axes.empty() && batch.axes.back().b == 0 && batch.axes.back().a == g.m * g.k) {
    g.m *= batch.axes.back().size;
    batch.axes.pop_back();
  }
  int64_t count = 1;
  for (const BatchAxis& axis : batch.axes) count *= axis.size;
  g.c = ctx.out_as<float>(0);
  g.c_row = g.n;
  if (g.n == 1 && g.m > 1) {
    // A column: the transposed product is one row.
    std::swap(g.m, g.n);
    std::swap(g.a, g.b.data);
    g.a_row = g.k;
    g.b.row = 1;
    g.b.col = g.k;
    g.c_row = g.n;
    for (BatchAxis& axis : batch.axes) std::swap(axis.a, axis.b);
  }
  return run_gemm_batch(
      ctx, g, count,
      [](const void* self, int64_t i) {
        const Batch& all = *static_cast<const Batch*>(self);
        CpuGemm one = all.g;
        one.c += i * one.m * one.n;
        for (size_t axis = all.axes.size(); axis-- > 0;) {
          const int64_t at = i % all.axes[axis].size;
          i /= all.axes[axis].size;
          one.a += at * all.axes[axis].a;
          one.b.data += at * all.axes[axis].b;
        }
        return one;
      },
      &batch);
}

}  // namespace

extern const CpuKernel cpu_matmul;
const CpuKernel cpu_matmul = {.run = run};

}  // namespace quern
