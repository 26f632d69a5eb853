// The type of a value that comes from one of several places.
#pragma once

#include "ir/op_context.h"

namespace quern {

/// What holds for both `a` and `b`: equal dims stay, others become fresh dims of `output` of the
/// node; different ranks give an unknown shape. Containers: by `merge_elements`.
Type merge_types(const InferContext& ctx, size_t output, const Type& a, const Type& b);

/// What holds for elements of a container that are of type `a` and of type `b`: extents that are
/// numbers in both and equal stay numbers.
Type merge_elements(const Type& a, const Type& b);

/// An element taken out of a container: extents that are no numbers become fresh dims of the
/// node's output.
Type element_taken(const InferContext& ctx, size_t output, const Type& element);

}  // namespace quern
