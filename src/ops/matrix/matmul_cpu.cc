#include <algorithm>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "ops/common/gemm_cpu.h"
#include "ops/common/matmul.h"

namespace quern {
namespace {

struct Batch {
  CpuGemm g;
  std::vector<BatchAxis> axes;
};

Result<void> run(CpuContext& ctx) {
  MatMulSizes sizes = matmul_sizes(ctx.node(), ctx.input(0).dims, ctx.input(1).dims);
  Batch batch;
  CpuGemm& g = batch.g;
  g.m = sizes.m;
  g.n = sizes.n;
  g.k = sizes.k;
  g.a = ctx.in_as<float>(0);
  g.a_row = sizes.a_row;
  g.a_col = sizes.a_col;
  g.b.data = ctx.in_as<float>(1);
  g.b.row = sizes.b_row;
  g.b.col = sizes.b_col;
  batch.axes = collapse_batch(sizes.batch);
  if (!batch.axes.empty() && batch.axes.back().b == 0 && batch.axes.back().a == g.m * g.a_row) {
    g.m *= batch.axes.back().size;
    batch.axes.pop_back();
  }
  int64_t count = 1;
  for (const BatchAxis& axis : batch.axes) count *= axis.size;
  float* y = ctx.out_as<float>(0);
  g.c = y;
  g.c_row = g.n;
  if (g.n == 1 && g.m > 1) {
    // A column: the transposed product is one row.
    std::swap(g.m, g.n);
    std::swap(g.a, g.b.data);
    std::swap(g.a_row, g.b.col);
    std::swap(g.a_col, g.b.row);
    g.c_row = g.n;
    for (BatchAxis& axis : batch.axes) std::swap(axis.a, axis.b);
  }
  QUERN_TRY(run_gemm_batch(
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
      &batch));
  const float alpha = ctx.node().float_or("alpha", 1.0f);
  if (alpha == 1.0f) return {};
  ctx.parallel().run(ctx.output(0).count(), 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] *= alpha;
  });
  return {};
}

}  // namespace

extern const CpuKernel cpu_matmul;
const CpuKernel cpu_matmul = {.run = run};

}  // namespace quern
