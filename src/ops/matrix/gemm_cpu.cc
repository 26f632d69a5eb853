#include "ops/common/gemm_cpu.h"

#include "cpu/cpu_kernel.h"

namespace quern {
namespace {

Result<void> run(CpuContext& ctx) {
  const Dims& a = ctx.input(0).dims;
  const Dims& b = ctx.input(1).dims;
  const bool ta = ctx.node().int_or("transA", 0) != 0;
  const bool tb = ctx.node().int_or("transB", 0) != 0;
  const float alpha = ctx.node().float_or("alpha", 1.0f);
  const float beta = ctx.node().float_or("beta", 1.0f);
  CpuGemm g;
  g.m = a[ta ? 1 : 0];
  g.k = a[ta ? 0 : 1];
  g.n = b[tb ? 0 : 1];
  g.a = ctx.in_as<float>(0);
  g.a_row = ta ? 1 : g.k;
  g.a_col = ta ? g.m : 1;
  g.b.data = ctx.in_as<float>(1);
  g.b.row = tb ? 1 : g.n;
  g.b.col = tb ? g.k : 1;
  g.c = ctx.out_as<float>(0);
  g.c_row = g.n;
  const bool has_c = ctx.has_input(2) && beta != 0.0f;
  const Dims none;
  const Dims& c = has_c ? ctx.input(2).dims : none;
  const int64_t c_cols = c.empty() ? 1 : c.back();
  const int64_t c_rows = c.size() < 2 ? 1 : c[0];
  const float* bias = has_c ? ctx.in_as<float>(2) : nullptr;
  if (has_c && alpha == 1.0f && beta == 1.0f && c_rows == 1 && c_cols == g.n) {
    g.col_bias = bias;
    return run_gemm(ctx, g);
  }
  QUERN_TRY(run_gemm(ctx, g));
  if (alpha == 1.0f && !has_c) return {};
  ctx.parallel().run(g.m, 1 + 16384 / (g.n + 1), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* y = g.c + i * g.n;
      const float* row = has_c ? bias + (c_rows == 1 ? 0 : i * c_cols) : nullptr;
      for (int64_t j = 0; j < g.n; ++j) {
        y[j] = alpha * y[j] + (has_c ? beta * row[c_cols == 1 ? 0 : j] : 0.0f);
      }
    }
  });
  return {};
}

}  // namespace

extern const CpuKernel cpu_gemm;
const CpuKernel cpu_gemm = {.run = run};

}  // namespace quern
