// The CPU kernel of CumSum and CumProd.
#pragma once

#include "base/result.h"
#include "cpu/cpu_kernel.h"
#include "ops/common/prefix_scan.h"

namespace quern {

/// Other floats go through f32.
inline constexpr uint32_t kScanKernelTypes =
    types_of(DType::kF32, DType::kF64, DType::kI32, DType::kI64, DType::kU32, DType::kU64);

Result<void> run_scan(CpuContext& c, bool product);

}  // namespace quern
