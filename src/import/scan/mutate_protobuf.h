// Breaks protobuf messages in many ways, for mutation tests. Native.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>
#include <span>
#include <vector>

namespace quern {

/// What a field holds that is no message.
enum FieldLeaf : uint8_t {
  kLeafInts = 200,
  kLeafText,
  kLeafFloats,
  kLeafData,
  kLeafNumber,
  kLeafUnknown,
};

/// Field `field` of messages of kind `message` holds messages of kind `child`, or a FieldLeaf.
/// Kinds of messages are numbers below kLeafInts, that of the root is 0.
struct FieldRule {
  uint8_t message;
  uint8_t field;
  uint8_t child;
};

/// A message truncated, with bits flipped, bytes spliced, lengths changed or, mostly, by the
/// structure that the rules tell: with other numbers, texts, data, or parts left out, repeated and
/// moved. The same arguments give the same bytes.
std::vector<uint8_t> mutate_protobuf(std::span<const uint8_t> message,
                                     std::span<const FieldRule> rules, uint64_t seed);

}  // namespace quern

#endif
