#include "ops/common/tiling.h"

#include <gtest/gtest.h>

#include <set>

namespace quern {
namespace {

const Varies kFixed = {};
const Varies kRows = {.m = true, .any = true};

TEST(Tiling, ManyTilesAreLarge) {
  const Tiling t = tiling_of({}, 4096, 4096, 4096, 1, kFixed);
  EXPECT_EQ(t.tn4, 2u);
  EXPECT_EQ(t.parts, 1u);
  EXPECT_TRUE(t.is_exact(4096, 4096, 4096));
  EXPECT_FALSE(t.is_exact(4096, 4096, 4095));
}

TEST(Tiling, FewTilesShareTheirDepth) {
  const Tiling t = tiling_of({}, 128, 768, 768, 1, kFixed);
  EXPECT_EQ(t.parts, 4u);
  EXPECT_EQ(t.tm % t.parts, 0u);  // each part ends with whole rows
  EXPECT_EQ(t.slices, 1);
  // A long depth is cut besides.
  EXPECT_GT(tiling_of({}, 128, 768, 3072, 1, kFixed).slices, 1);
}

TEST(Tiling, MuchWorkOfFewTilesIsSliced) {
  const Tiling wide = tiling_of({}, 197, 3072, 768, 1, kFixed);
  EXPECT_EQ(wide.tn4, 2u);
  EXPECT_EQ(wide.slices, 4);
  const Tiling deep = tiling_of({}, 197, 768, 3072, 1, kFixed);
  EXPECT_EQ(deep.tm * deep.wm, 64u);
  EXPECT_EQ(deep.slices, 8);
  EXPECT_EQ(tiling_of({}, 128, 3072, 768, 1, kFixed).slices, 1);   // little work
  EXPECT_EQ(tiling_of({}, 1500, 1152, 384, 1, kFixed).slices, 1);  // no depth
  EXPECT_EQ(tiling_of({}, 197, 3072, 768, 1, kRows).slices, 1);
}

TEST(Tiling, PartsFitTheDevice) {
  Target target;
  target.max_invocations = 128;
  const Tiling t = tiling_of(target, 128, 768, 768, 1, kFixed);
  EXPECT_EQ(t.wm * t.wn * t.parts, 128u);
}

TEST(Tiling, EmulatedDevicesShareNoDepth) {
  Target target;
  target.cores = 2;
  target.emulated = true;
  for (const int64_t m : {32, 128, 4096}) {
    const Tiling tiling = tiling_of(target, m, 768, 768, 1, kFixed);
    EXPECT_EQ(tiling.parts, 1u);
    EXPECT_EQ(tiling.slices, 1);
    EXPECT_FALSE(tiling.exact);
  }
  const Tiling tiling = tiling_of(target, 4096, 768, 768, 1, kRows);
  EXPECT_FALSE(other_tiling(target, tiling, 4096, 768, 768, kRows));
}

TEST(Tiling, FewerCoresTakeLargerTiles) {
  Target target;
  target.cores = 8;
  EXPECT_EQ(tiling_of(target, 128, 768, 768, 1, kFixed).parts, 1u);
}

TEST(Tiling, FormsBeginWithTheTables) {
  for (const int64_t m : {5, 33, 128, 4096}) {
    const auto forms = tilings_of({}, m, 768, 3072, 1, kFixed);
    EXPECT_EQ(name_of(forms[0]), name_of(tiling_of({}, m, 768, 3072, 1, kFixed)));
    EXPECT_GT(forms.size(), 3u);
    std::set<std::string> names;
    for (const Tiling& t : forms) {
      EXPECT_TRUE(names.insert(name_of(t)).second) << name_of(t);
      EXPECT_EQ(t.tm % t.parts, 0u) << name_of(t);
      EXPECT_EQ(t.depth / 4 % t.parts, 0u) << name_of(t);
      EXPECT_LE(t.wm * t.wn * t.parts, Target().max_invocations) << name_of(t);
      EXPECT_LE(t.storage(), int64_t{Target().max_workgroup_storage}) << name_of(t);
      EXPECT_TRUE(!t.exact || (t.parts == 1 && t.slices == 1 && t.is_exact(m, 768, 3072)));
      if (t.slices == 1) continue;
      EXPECT_EQ(t.slice_depth % t.depth, 0) << name_of(t);
      EXPECT_GE(t.slices * t.slice_depth, 3072) << name_of(t);
      EXPECT_LT((t.slices - 1) * t.slice_depth, 3072) << name_of(t);
    }
  }
  const auto rows = tilings_of({}, 40, 768, 768, 1, kRows);
  EXPECT_EQ(name_of(rows[0]), name_of(tiling_of({}, 40, 768, 768, 1, kRows)));
  EXPECT_GT(rows.size(), 3u);
}

TEST(Tiling, DimsThatVaryHaveTwo) {
  const Tiling small = tiling_of({}, 40, 768, 768, 1, kRows);
  const Tiling large = tiling_of({}, 8192, 768, 768, 1, kRows);
  EXPECT_EQ(small.tn4, 1u);
  EXPECT_EQ(large.tn4, 2u);
  EXPECT_EQ(other_tiling({}, small, 40, 768, 768, kRows)->tn4, 2u);
  EXPECT_EQ(other_tiling({}, large, 8192, 768, 768, kRows)->parts, small.parts);
  EXPECT_FALSE(other_tiling({}, small, 40, 768, 768, kFixed));
}

}  // namespace
}  // namespace quern
