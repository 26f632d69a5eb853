#include "ops/common/recurrent_cpu.h"

namespace quern {

extern const CpuKernel cpu_gru;
const CpuKernel cpu_gru = {.run = [](CpuContext& ctx) { return run_recurrent(ctx, gru_kind()); }};

}  // namespace quern
