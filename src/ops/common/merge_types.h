// The type of a value that comes from one of two places.
#pragma once

#include "ir/op_context.h"

namespace quern {

/// What holds for both `a` and `b`: equal dims stay, others become fresh dims of `output` of the
/// node; different ranks give an unknown shape.
Type merge_types(const InferContext& ctx, size_t output, const Type& a, const Type& b);

}  // namespace quern
