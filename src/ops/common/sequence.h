// What definitions of sequence and optional operators share.
#pragma once

#include "base/result.h"
#include "ops/common/merge_types.h"
#include "ops/op_def.h"

namespace quern {

/// What an element of input i, a sequence, is; an unknown tensor where that is not known. An error
/// where the input is something else.
Result<Type> sequence_element(const InferContext& c, size_t i);

}  // namespace quern
