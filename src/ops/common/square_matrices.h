// Operators on the square matrices of the last two axes: by a formula where they are small, else by
// elimination.
#pragma once

#include <string_view>

#include "base/result.h"
#include "ir/op_context.h"
#include "shader/lower.h"

namespace quern {

/// Matrices up to this order have a formula.
inline constexpr int64_t kMaxFormulaOrder = 3;

/// An error where input 0 is known to hold no square matrices.
Result<void> check_square(InferContext& ctx);

/// A kernel that takes x, `work` and y, and n and the number of matrices, a workgroup a matrix.
/// `copies`: f32 elements of `work` for each one of x. Unsupported where there is a formula.
Result<void> lower_elimination(LowerContext& ctx, std::string_view kernel, int64_t copies);

}  // namespace quern
