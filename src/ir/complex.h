// Complex numbers: no expression and no kernel holds them; what only moves elements does so by
// `eval`.
#pragma once

#include "ir/graph.h"

namespace quern {

/// Does the node take or give complex tensors?
bool has_complex(const Node& node);

}  // namespace quern
