#include "plan/memory_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace quern {
namespace {

uint64_t aligned(uint64_t bytes) {
  return (std::max<uint64_t>(bytes, 1) + kSliceAlignment - 1) / kSliceAlignment * kSliceAlignment;
}

/// No two blocks that are alive together overlap, and all lie inside the arena.
void expect_valid(const MemoryPlan& plan, const std::vector<LiveRange>& ranges) {
  ASSERT_EQ(plan.offsets.size(), ranges.size());
  for (size_t i = 0; i < ranges.size(); ++i) {
    EXPECT_EQ(plan.offsets[i] % kSliceAlignment, 0U);
    EXPECT_LE(plan.offsets[i] + aligned(ranges[i].bytes), plan.arena_bytes);
    for (size_t j = 0; j < i; ++j) {
      if (ranges[i].last < ranges[j].first || ranges[j].last < ranges[i].first) continue;
      const bool apart = plan.offsets[i] + aligned(ranges[i].bytes) <= plan.offsets[j] ||
                         plan.offsets[j] + aligned(ranges[j].bytes) <= plan.offsets[i];
      EXPECT_TRUE(apart) << "blocks " << i << " and " << j;
    }
  }
}

TEST(MemoryPlan, NothingTakesNothing) {
  const MemoryPlan plan = plan_memory({});
  EXPECT_EQ(plan.arena_bytes, 0U);
  EXPECT_EQ(plan.live_bytes, 0U);
}

TEST(MemoryPlan, AChainTakesTwoBlocks) {
  std::vector<LiveRange> ranges;
  for (uint32_t i = 0; i < 20; ++i) ranges.push_back({1000, i, i + 1});
  const MemoryPlan plan = plan_memory(ranges);
  expect_valid(plan, ranges);
  EXPECT_EQ(plan.arena_bytes, 2 * 1024U);
  EXPECT_EQ(plan.live_bytes, 2 * 1024U);
}

TEST(MemoryPlan, BlocksOfOneStepAreApart) {
  const std::vector<LiveRange> ranges = {{256, 0, 3}, {256, 1, 1}, {256, 2, 2}, {0, 1, 2}};
  const MemoryPlan plan = plan_memory(ranges);
  expect_valid(plan, ranges);
  EXPECT_EQ(plan.arena_bytes, 3 * 256U);
}

TEST(MemoryPlan, StaysNearTheLiveSetOnRandomGraphs) {
  double worst = 1;
  for (uint32_t seed = 0; seed < 60; ++seed) {
    std::mt19937 random(seed);
    std::vector<LiveRange> ranges;
    const auto steps = static_cast<uint32_t>(random() % 200 + 5);
    for (uint32_t i = 0; i < steps; ++i) {
      // As in networks: most tensors die at the next steps, a few are skip connections.
      const uint32_t life = random() % 8 == 0 ? random() % 40 : random() % 3 + 1;
      ranges.push_back({(uint64_t{1} << (random() % 12)) * 300, i, std::min(steps, i + life)});
    }
    const MemoryPlan plan = plan_memory(ranges);
    expect_valid(plan, ranges);
    worst = std::max(worst,
                     static_cast<double>(plan.arena_bytes) / static_cast<double>(plan.live_bytes));
  }
  EXPECT_LE(worst, 1.15);
}

TEST(MemoryPlan, NoBlockLiesAcrossTheBorderOfTwoBuffers) {
  std::mt19937 random(11);
  constexpr uint64_t kBuffer = 256 * 40;
  for (int round = 0; round < 50; ++round) {
    std::vector<LiveRange> ranges;
    for (uint32_t i = 0; i < 60; ++i) {
      ranges.push_back({random() % kBuffer + 1, i, i + static_cast<uint32_t>(random() % 5)});
    }
    const MemoryPlan plan = plan_memory(ranges, kBuffer);
    expect_valid(plan, ranges);
    for (size_t i = 0; i < ranges.size(); ++i) {
      const uint64_t last = plan.offsets[i] + aligned(ranges[i].bytes) - 1;
      EXPECT_EQ(plan.offsets[i] / kBuffer, last / kBuffer);
    }
  }
}

TEST(MemoryPlan, IsTheSameForTheSameInput) {
  const std::vector<LiveRange> ranges = {{512, 0, 2}, {512, 1, 3}, {256, 2, 5}, {700, 3, 4}};
  EXPECT_EQ(print(plan_memory(ranges), ranges), print(plan_memory(ranges), ranges));
}

}  // namespace
}  // namespace quern
