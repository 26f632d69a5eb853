#include "ops/common/norm_cpu.h"

namespace quern {
namespace {

Result<void> run(CpuContext& ctx) { return run_softmax(ctx, false); }

}  // namespace

extern const CpuKernel cpu_softmax;
const CpuKernel cpu_softmax = {.run = run};

}  // namespace quern
