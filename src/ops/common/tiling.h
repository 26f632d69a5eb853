// How products and convolutions are cut into workgroups. Pure.
#pragma once

#include <cstdint>
#include <optional>

namespace quern {

/// Which numbers of a product change from binding to binding.
struct Varies {
  bool m = false, n = false;
  bool any = false;  ///< m, n, k or the size of the batch
};

/// How a product is cut into workgroups: tiles of wm*tm rows by wn*tn4*4 columns, and slices of
/// the depth, whose sums a second pass adds up.
struct Tiling {
  uint32_t wm = 8, wn = 8, tm = 4, tn4 = 1;
  int64_t slices = 1;
  int64_t slice_depth = 0;  ///< a multiple of kTileDepth, but for one slice

  [[nodiscard]] int64_t tiles_m(int64_t m) const { return (m + wm * tm - 1) / (wm * tm); }
  [[nodiscard]] int64_t tiles_n(int64_t n) const {
    return (n + int64_t{wn} * tn4 * 4 - 1) / (int64_t{wn} * tn4 * 4);
  }
};
inline constexpr uint32_t kTileDepth = 16;

/// The large tile where it fills a device, the small one, or the small one with a split depth
/// where even that leaves most of a device idle. Measured: docs/performance.md.
Tiling tiling_of(int64_t m, int64_t n, int64_t k, int64_t count, Varies varies);
/// The tiling that another binding may have; none where there is but one.
std::optional<Tiling> other_tiling(const Tiling& tiling, int64_t m, int64_t n, int64_t k,
                                   Varies varies);

}  // namespace quern
