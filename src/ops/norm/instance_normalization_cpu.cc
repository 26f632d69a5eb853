#include "ops/common/norm_cpu.h"

namespace quern {
namespace {

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(NormRows norm, instance_norm_rows(ctx));
  return run_norm(ctx, norm);
}

}  // namespace

extern const CpuKernel cpu_instance_normalization;
const CpuKernel cpu_instance_normalization = {.run = run};

}  // namespace quern
