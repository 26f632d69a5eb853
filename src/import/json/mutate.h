// Changes JSON in many ways, for tests of what reads it. Native.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>

#include "import/json/json.h"

namespace quern {

/// Other numbers and texts, parts left out, repeated and moved: a few of these. The same seed makes
/// the same changes.
void mutate_json(Json& json, uint64_t seed);

}  // namespace quern

#endif
