#include "ops/common/norm_cpu.h"

namespace quern {
namespace {

Result<void> run(CpuContext& ctx) { return run_softmax(ctx, true); }

}  // namespace

extern const CpuKernel cpu_log_softmax;
const CpuKernel cpu_log_softmax = {.run = run};

}  // namespace quern
