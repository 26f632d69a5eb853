#include "ops/common/prefix_scan_cpu.h"

namespace quern {

extern const CpuKernel cpu_cum_prod;
const CpuKernel cpu_cum_prod = {.types = kScanKernelTypes,
                                .run = [](CpuContext& c) { return run_scan(c, true); }};

}  // namespace quern
