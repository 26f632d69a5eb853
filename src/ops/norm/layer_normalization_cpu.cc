#include "ops/common/norm_cpu.h"

namespace quern {
namespace {

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(NormRows norm, layer_norm_rows(ctx, false));
  return run_norm(ctx, norm);
}

}  // namespace

extern const CpuKernel cpu_layer_normalization;
const CpuKernel cpu_layer_normalization = {.run = run};

}  // namespace quern
