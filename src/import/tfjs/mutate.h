// Breaks model.json files in many ways: see import/onnx/mutate.h, which does it to ONNX. Native.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// Mutant number `number` of a model.json: mostly one with other numbers, names and operators, or
/// parts left out, repeated and moved; sometimes one with broken bytes. Empty where `file` is no
/// JSON. The same arguments give the same bytes.
std::vector<uint8_t> mutant_of_json(std::span<const uint8_t> file, uint64_t seed, uint64_t number);

}  // namespace quern

#endif
