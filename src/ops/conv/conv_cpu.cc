#include "ops/common/conv_cpu.h"

namespace quern {
namespace {

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(ConvShape s, conv_shape(ctx));
  return run_conv(ctx, s, ctx.in_as<float>(0), ctx.in_as<float>(1),
                  ctx.has_input(2) ? ctx.in_as<float>(2) : nullptr, ctx.out_as<float>(0));
}

}  // namespace

extern const CpuKernel cpu_conv;
const CpuKernel cpu_conv = {.run = run};

}  // namespace quern
