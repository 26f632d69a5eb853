// Breaks torch.export archives in many ways: see import/onnx/mutate.h, which does it to ONNX.
// Native.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// Mutant number `number` of an archive: mostly one whose program has other numbers, names and
/// targets, or parts left out, repeated and moved, under right lengths and checksums; sometimes one
/// with broken bytes. Empty where `file` is no archive. The same arguments give the same bytes.
std::vector<uint8_t> mutant_of_archive(std::span<const uint8_t> file, uint64_t seed,
                                       uint64_t number);

}  // namespace quern

#endif
