#include "ops/common/recurrent_cpu.h"

namespace quern {

extern const CpuKernel cpu_lstm;
const CpuKernel cpu_lstm = {.run = [](CpuContext& ctx) { return run_recurrent(ctx, lstm_kind()); }};

}  // namespace quern
