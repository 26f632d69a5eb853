#include "plan/memory_plan.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "base/text.h"

namespace quern {
namespace {

uint64_t aligned(uint64_t bytes) {
  return (std::max<uint64_t>(bytes, 1) + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
}

uint64_t largest_live_set(std::span<const LiveRange> ranges) {
  // Sweep: +size at `first`, -size after `last`.
  std::vector<std::pair<uint64_t, int64_t>> events;
  events.reserve(ranges.size() * 2);
  for (const LiveRange& r : ranges) {
    const auto size = static_cast<int64_t>(aligned(r.bytes));
    events.emplace_back(uint64_t{r.first} * 2, size);
    events.emplace_back(uint64_t{r.last} * 2 + 1, -size);
  }
  std::sort(events.begin(), events.end());
  int64_t live = 0;
  int64_t peak = 0;
  for (const auto& [time, delta] : events) {
    live += delta;
    peak = std::max(peak, live);
  }
  return static_cast<uint64_t>(peak);
}

/// The lowest offset from `at` on where `size` bytes lie in one buffer.
uint64_t inside_buffer(uint64_t at, uint64_t size, uint64_t buffer_bytes) {
  if (at / buffer_bytes == (at + size - 1) / buffer_bytes) return at;
  return (at / buffer_bytes + 1) * buffer_bytes;
}

/// Places blocks one after another in `order`, each at the lowest (or tightest) free gap among
/// the placed ones that are alive with it.
MemoryPlan place(std::span<const LiveRange> ranges, std::span<const uint32_t> order, bool tightest,
                 uint64_t buffer_bytes) {
  MemoryPlan plan;
  plan.offsets.resize(ranges.size());
  struct Placed {
    uint64_t begin, end;
    uint32_t first, last;
  };
  std::vector<Placed> placed;  // sorted by begin
  placed.reserve(ranges.size());
  for (uint32_t i : order) {
    const LiveRange& r = ranges[i];
    const uint64_t size = aligned(r.bytes);
    uint64_t cursor = 0;
    uint64_t best = UINT64_MAX;
    uint64_t best_gap = UINT64_MAX;
    for (const Placed& p : placed) {
      if (p.last < r.first || p.first > r.last) continue;
      const uint64_t fitting = inside_buffer(cursor, size, buffer_bytes);
      if (p.begin >= fitting + size) {
        const uint64_t gap = p.begin - cursor;
        if (gap < best_gap) {
          best = fitting;
          best_gap = gap;
          if (!tightest) break;
        }
      }
      cursor = std::max(cursor, p.end);
    }
    if (best == UINT64_MAX) best = inside_buffer(cursor, size, buffer_bytes);
    plan.offsets[i] = best;
    plan.arena_bytes = std::max(plan.arena_bytes, best + size);
    const Placed entry{best, best + size, r.first, r.last};
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), entry,
                         [](const Placed& a, const Placed& b) { return a.begin < b.begin; }),
        entry);
  }
  return plan;
}

}  // namespace

MemoryPlan plan_memory(std::span<const LiveRange> ranges, uint64_t buffer_bytes) {
  std::vector<uint32_t> order(ranges.size());
  std::iota(order.begin(), order.end(), 0);
  const uint64_t live = largest_live_set(ranges);

  // By size, by duration, by size times duration, and in order of time: which of them packs best
  // depends on the graph, and all are cheap.
  using Less = std::function<bool(uint32_t, uint32_t)>;
  const auto size = [&](uint32_t i) { return aligned(ranges[i].bytes); };
  const auto length = [&](uint32_t i) { return uint64_t{ranges[i].last} - ranges[i].first + 1; };
  const Less orders[] = {
      [&](uint32_t a, uint32_t b) { return size(a) > size(b); },
      [&](uint32_t a, uint32_t b) { return length(a) > length(b); },
      [&](uint32_t a, uint32_t b) { return size(a) * length(a) > size(b) * length(b); },
      [&](uint32_t a, uint32_t b) { return ranges[a].first < ranges[b].first; },
  };
  MemoryPlan best;
  best.arena_bytes = UINT64_MAX;
  for (const Less& less : orders) {
    std::sort(order.begin(), order.end(),
              [&](uint32_t a, uint32_t b) { return less(a, b) || (!less(b, a) && a < b); });
    for (bool tightest : {true, false}) {
      MemoryPlan plan = place(ranges, order, tightest, buffer_bytes);
      if (plan.arena_bytes < best.arena_bytes) best = std::move(plan);
      if (best.arena_bytes <= live) break;
    }
    if (best.arena_bytes <= live) break;
  }
  if (ranges.empty()) best.arena_bytes = 0;
  best.live_bytes = live;
  return best;
}

std::string print(const MemoryPlan& plan, std::span<const LiveRange> ranges) {
  std::vector<uint32_t> order(ranges.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(plan.offsets[a], a) < std::pair(plan.offsets[b], b);
  });
  std::string out = cat("arena ", plan.arena_bytes, " bytes, live ", plan.live_bytes, " bytes\n");
  for (uint32_t i : order) {
    out += cat("  ", plan.offsets[i], " +", ranges[i].bytes, " steps ", ranges[i].first, "..",
               ranges[i].last, "\n");
  }
  return out;
}

}  // namespace quern
