// LSTM, GRU and RNN on the CPU, f32.
#pragma once

#include "base/result.h"
#include "cpu/cpu_kernel.h"
#include "ops/common/recurrent_shape.h"

namespace quern {

Result<void> run_recurrent(CpuContext& ctx, const RecurrentKind& kind);

}  // namespace quern
