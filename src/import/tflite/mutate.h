// Breaks TFLite files by their structure, to see that nothing worse than an error comes of it.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// Mutant number `number` of a valid file: with other numbers, types, indices, dims, options,
/// offsets or lengths; at times any bytes, as mutant_of. The same arguments give the same bytes.
std::vector<uint8_t> mutant_of_tflite(std::span<const uint8_t> file, uint64_t seed,
                                      uint64_t number);

}  // namespace quern

#endif
