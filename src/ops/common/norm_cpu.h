// CPU kernels of row-wise operators, f32.
#pragma once

#include "base/result.h"
#include "cpu/cpu_kernel.h"
#include "ops/common/norm_rows.h"

namespace quern {

/// Softmax of `length` neighbours, in place allowed. `log`: its logarithm.
void softmax_row(const float* x, float* y, int64_t length, bool log);
Result<void> run_softmax(CpuContext& ctx, bool log);
/// Inputs and outputs as lower_norm's.
Result<void> run_norm(CpuContext& ctx, const NormRows& norm);

}  // namespace quern
