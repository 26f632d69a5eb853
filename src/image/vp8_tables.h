#pragma once

#include <cstddef>
#include <cstdint>

namespace quern::image {

/// Of coefficients: 4 kinds of block, 8 bands, 3 contexts, 11 nodes of a tree.
inline constexpr size_t kVp8Probabilities = 4 * 8 * 3 * 11;
extern const uint8_t kVp8DefaultProbabilities[kVp8Probabilities];

/// How probable it is that each of them does not change: those that are not 255, as the distance
/// from the one before and the probability.
inline constexpr size_t kVp8UpdateEntries = 158;
extern const uint8_t kVp8UpdateProbabilities[kVp8UpdateEntries][2];

/// Modes of 4 x 4 blocks, by the modes above and to the left.
extern const uint8_t kVp8ModeProbabilities[10 * 10 * 9];

extern const uint8_t kVp8DcSteps[128];
extern const uint16_t kVp8AcSteps[128];

/// Places near a pixel, which the first distances of the lossless format stand for: to the left and
/// up.
extern const int8_t kVp8lNear[120][2];

}  // namespace quern::image
