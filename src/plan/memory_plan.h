// Where each temporary tensor lies in an arena: pure, from sizes and live ranges alone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace quern {

/// WebGPU's minStorageBufferOffsetAlignment, which slices of an arena keep to.
inline constexpr uint64_t kSliceAlignment = 256;

/// A block of memory that is needed from step `first` to step `last`, both inclusive.
struct LiveRange {
  uint64_t bytes = 0;
  uint32_t first = 0;
  uint32_t last = 0;
};

struct MemoryPlan {
  std::vector<uint64_t> offsets;  ///< one a live range, multiples of kSliceAlignment
  uint64_t arena_bytes = 0;       ///< the end of the last block
  uint64_t live_bytes = 0;        ///< the largest sum of aligned sizes alive at one step
};

/// Assigns offsets so that blocks alive at the same step don't overlap. Tries a few orders of
/// placement and keeps the smallest arena; equal input gives equal output. The offsets count
/// through buffers of `buffer_bytes`, a multiple of kSliceAlignment, and no block lies across the
/// border of two (a block must not be larger than one).
MemoryPlan plan_memory(std::span<const LiveRange> ranges, uint64_t buffer_bytes = UINT64_MAX);

/// One line a block, by offset: for tests and `quern inspect --plan`.
std::string print(const MemoryPlan& plan, std::span<const LiveRange> ranges);

}  // namespace quern
