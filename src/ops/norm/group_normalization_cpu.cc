#include "ops/common/norm_cpu.h"

namespace quern {
namespace {

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(NormRows norm, group_norm_rows(ctx));
  return run_norm(ctx, norm);
}

}  // namespace

extern const CpuKernel cpu_group_normalization;
const CpuKernel cpu_group_normalization = {.run = run};

}  // namespace quern
