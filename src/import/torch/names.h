// The graph builder's names, as the translators of torch.export use them.
#pragma once

#include "import/emit/builder.h"

namespace quern::torch {

using emit::Attributes;
using emit::Builder;
using emit::extreme;
using emit::float_type;
using emit::Ints;
using emit::kOpset;
using emit::Size;
using emit::Tensor;

}  // namespace quern::torch
