// How products and convolutions are cut into workgroups. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shader/target.h"

namespace quern {

/// Which numbers of a product change from binding to binding.
struct Varies {
  bool m = false, n = false;
  bool any = false;  ///< m, n, k or the size of the batch
};

/// How a product is cut into workgroups: tiles of wm*tm rows by wn*tn4*4 columns, `depth` deep,
/// each depth shared by `parts` groups of invocations; and slices of the whole depth, whose sums a
/// second pass adds up.
struct Tiling {
  uint32_t wm = 8, wn = 8, tm = 4, tn4 = 1, depth = 16, parts = 1;
  int64_t slices = 1;
  int64_t slice_depth = 0;  ///< a multiple of `depth`, but for one slice
  bool exact = false;       ///< a product of whole tiles, of `parts` 1: no bounds are checked
  bool writable = false;    ///< KernelCall::writable

  [[nodiscard]] int64_t tiles_m(int64_t m) const { return (m + wm * tm - 1) / (wm * tm); }
  [[nodiscard]] int64_t tiles_n(int64_t n) const {
    return (n + int64_t{wn} * tn4 * 4 - 1) / (int64_t{wn} * tn4 * 4);
  }
  /// Bytes of workgroup memory, at most.
  [[nodiscard]] int64_t storage() const;
  /// Are all tiles whole?
  [[nodiscard]] bool is_exact(int64_t m, int64_t n, int64_t k) const {
    return m % (wm * tm) == 0 && n % (int64_t{wn} * tn4 * 4) == 0 && k % depth == 0;
  }
  /// As matmul.wgsl and conv.wgsl have them.
  template <class F>
  void fields(F&& f) const {
    f("WM", wm);
    f("WN", wn);
    f("TM", tm);
    f("TN4", tn4);
    f("TK", depth);
    f("PARTS", parts);
    f("SHARED", uint32_t{parts > 1});
  }
};

/// What a tuner calls it.
std::string name_of(const Tiling& tiling);

/// Cuts the depth k into about so many slices, in multiples of the tile's.
template <class T>
void slice_depth(T& tiling, int64_t k, int64_t slices) {
  const int64_t depth = (k + slices - 1) / slices;
  tiling.slice_depth = (depth + tiling.depth - 1) / tiling.depth * tiling.depth;
  tiling.slices = (k + tiling.slice_depth - 1) / tiling.slice_depth;
}

/// A product of f16 by subgroup matrices (matmul_subgroup.wgsl): gm x gn subgroups, each with
/// fm x fn matrices of `shape`.
struct SubgroupTiling {
  MatrixShape shape;
  uint32_t subgroup = 32;  ///< invocations
  uint32_t gm = 2, gn = 1, fm = 2, fn = 4, depth = 32;
  int64_t slices = 1;
  int64_t slice_depth = 0;  ///< a multiple of depth, but for one slice

  [[nodiscard]] int64_t rows() const { return int64_t{gm} * fm * shape.m; }
  [[nodiscard]] int64_t columns() const { return int64_t{gn} * fn * shape.n; }
  [[nodiscard]] int64_t tiles_m(int64_t m) const { return (m + rows() - 1) / rows(); }
  [[nodiscard]] int64_t tiles_n(int64_t n) const { return (n + columns() - 1) / columns(); }
  /// Bytes of workgroup memory, at most.
  [[nodiscard]] int64_t storage() const;
  /// Has the target room for it, and do all invocations load as much?
  [[nodiscard]] bool fits(const Target& target) const;
  [[nodiscard]] bool large() const { return rows() > 32; }
};
std::string name_of(const SubgroupTiling& tiling);

/// The tile of subgroup matrices for a product of f16; none where the target lacks them or has no
/// room for a tile. `large` says which of the two, where that is not to follow from the product.
std::optional<SubgroupTiling> subgroup_tiling_of(const Target& target, int64_t m, int64_t n,
                                                 int64_t k, int64_t count, Varies varies,
                                                 std::optional<bool> large = std::nullopt);

/// The largest tile of which there are enough to fill a device; else the small one, its depth split
/// where even that leaves most of a device idle. Where dims vary there are but the small and the
/// large. Measured: docs/performance.md.
Tiling tiling_of(const Target& target, int64_t m, int64_t n, int64_t k, int64_t count,
                 Varies varies);
/// Every tiling worth a try for a product: the first is tiling_of's. Where dims vary others than
/// the two that are compiled ahead are too: what is tuned is a problem of one size.
std::vector<Tiling> tilings_of(const Target& target, int64_t m, int64_t n, int64_t k, int64_t count,
                               Varies varies);
/// Likewise by subgroup matrices; empty where the target has no such tile.
std::vector<SubgroupTiling> subgroup_tilings_of(const Target& target, int64_t m, int64_t n,
                                                int64_t k, int64_t count, Varies varies);
/// The tiling that another binding may have; none where there is but one.
std::optional<Tiling> other_tiling(const Target& target, const Tiling& tiling, int64_t m, int64_t n,
                                   int64_t k, Varies varies);

}  // namespace quern
