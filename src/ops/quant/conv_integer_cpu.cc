#include <algorithm>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "ops/common/conv_cpu.h"
#include "ops/common/gemm_integer_cpu.h"

namespace quern {
namespace {

enum Input : size_t { kX, kW, kXZero, kWZero };

struct Batch {
  const ConvShape* s;
  CpuIntegerGemm g;
  std::vector<ConvPatches> patches;  // one a (batch, group)
};

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx));
  const int64_t planes = s.batch * s.groups;
  const int64_t positions = s.output_count();
  if (planes * s.out_channels * positions == 0) return {};
  const int64_t depth = s.in_channels * s.taps();
  QUERN_ASSIGN(const float* x, centred_floats(ctx, kX, kXZero, ctx.input(kX).count(), 1));
  QUERN_ASSIGN(const float* w, centred_floats(ctx, kW, kWZero, depth, s.groups * s.out_channels));
  Batch batch;
  batch.s = &s;
  CpuIntegerGemm& g = batch.g;
  g.m = s.out_channels;
  g.k = depth;
  g.n = positions;
  g.a = w;
  g.a_row = depth;
  g.b.fill = fill_patches;
  g.c = ctx.out_as<int32_t>(0);
  g.c_row = positions;
  for (int64_t i = 0; i < planes; ++i) {
    batch.patches.push_back({&s, x + i * s.in_channels * s.input_count()});
  }
  return run_integer_gemm(
      ctx, g, planes,
      [](const void* self, int64_t i) {
        const Batch& all = *static_cast<const Batch*>(self);
        CpuIntegerGemm one = all.g;
        one.a += i % all.s->groups * one.m * one.k;
        one.c += i * one.m * one.n;
        one.b.self = &all.patches[static_cast<size_t>(i)];
        return one;
      },
      &batch);
}

}  // namespace

extern const CpuKernel cpu_conv_integer;
const CpuKernel cpu_conv_integer = {.types = 1u << 2 | 1u << 3, .run = run};

}  // namespace quern
