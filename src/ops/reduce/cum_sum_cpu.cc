#include "ops/common/prefix_scan_cpu.h"

namespace quern {

extern const CpuKernel cpu_cum_sum;
const CpuKernel cpu_cum_sum = {.types = kScanKernelTypes,
                               .run = [](CpuContext& c) { return run_scan(c, false); }};

}  // namespace quern
