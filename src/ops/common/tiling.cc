#include "ops/common/tiling.h"

#include <algorithm>

namespace quern {
namespace {

constexpr Tiling kLarge{.wm = 8, .wn = 16, .tm = 8, .tn4 = 2};
constexpr Tiling kSmall{};
/// Few rows, as the first and last convolutions of a net have.
constexpr Tiling kFlat{.wm = 4, .wn = 16};
constexpr int64_t kFlatRows = 16;

/// Would less than half of a large tile be of use? Where dims vary, a second variant is compiled
/// for it, which only large layers are worth.
bool too_small_for_large(int64_t m, int64_t n, int64_t k, Varies varies) {
  if (varies.any) return varies.n || n < 512 || k < 128;
  return m <= 32 || n <= 64 || k < kTileDepth;
}

}  // namespace

Tiling tiling_of(int64_t m, int64_t n, int64_t k, int64_t count, Varies varies) {
  // A workgroup of the large tile does eight times as much as one of the small, half again as
  // fast: it pays once there is one for most of a large device's cores.
  constexpr int64_t kCores = 90;
  if (!too_small_for_large(m, n, k, varies) &&
      kLarge.tiles_m(m) * kLarge.tiles_n(n) * count >= kCores) {
    return kLarge;
  }
  Tiling tiling = m <= kFlatRows && !varies.m ? kFlat : kSmall;
  tiling.slice_depth = k;
  const int64_t tiles = tiling.tiles_m(m) * tiling.tiles_n(n) * count;
  // A second pass costs as much as some 400 steps of the depth.
  if (varies.any || k < 1024 || tiles >= 128) return tiling;
  const int64_t slices = std::clamp<int64_t>(256 / tiles, 2, k / 256);
  const int64_t depth = (k + slices - 1) / slices;
  tiling.slice_depth = (depth + kTileDepth - 1) / kTileDepth * kTileDepth;
  tiling.slices = (k + tiling.slice_depth - 1) / tiling.slice_depth;
  return tiling;
}

std::optional<Tiling> other_tiling(const Tiling& tiling, int64_t m, int64_t n, int64_t k,
                                   Varies varies) {
  if (!varies.any || too_small_for_large(m, n, k, varies)) return std::nullopt;
  if (tiling.tn4 == 1) return kLarge;
  return varies.m || m > kFlatRows ? kSmall : kFlat;
}

}  // namespace quern
