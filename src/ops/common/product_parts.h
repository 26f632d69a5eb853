// Matrix products of tensors that are too large to bind (docs/large-tensors.md).
#pragma once

#include "ops/common/gemm.h"

namespace quern {

/// dispatch_gemm; in parts where a dispatch can't bind an operand or the result whole. An error
/// (kUnsupported) where no parts do: the general form has to run.
Result<void> dispatch_product(LowerContext& ctx, GemmCall g);

}  // namespace quern
