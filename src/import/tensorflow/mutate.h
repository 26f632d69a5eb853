// Breaks TensorFlow's GraphDefs and SavedModels in many ways: see import/onnx/mutate.h, which does
// it to ONNX. Native.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// Mutant number `number` of a frozen graph, or of a saved_model.pb. The same arguments give the
/// same bytes.
std::vector<uint8_t> mutant_of_tensorflow(std::span<const uint8_t> file, uint64_t seed,
                                          uint64_t number);

}  // namespace quern

#endif
