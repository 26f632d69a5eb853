#include "ops/common/recurrent_cpu.h"

namespace quern {

extern const CpuKernel cpu_rnn;
const CpuKernel cpu_rnn = {.run = [](CpuContext& ctx) { return run_recurrent(ctx, rnn_kind()); }};

}  // namespace quern
