#include "ops/common/tiling.h"

#include <algorithm>

namespace quern {
namespace {

constexpr Tiling kLarge{.wm = 8, .wn = 16, .tm = 8, .tn4 = 2};
constexpr Tiling kSquare{.wm = 8, .wn = 16, .tm = 8};
constexpr Tiling kMedium{.wm = 8, .wn = 16, .depth = 32};
/// Latency rules where there are few tiles: four times as many invocations, a quarter of the steps.
constexpr Tiling kSmall{.depth = 32, .parts = 4};
/// Few rows, as the first and last convolutions of a net have.
constexpr Tiling kFlat{.wm = 4, .wn = 16, .depth = 32, .parts = 4};
constexpr int64_t kFlatRows = 16;
/// With so many tiles for a hundred cores, those twice as large are worth it.
constexpr int64_t kManyLarge = 225;
constexpr int64_t kManyExact = 190;
/// Multiply-adds from which on the largest tiles, and those that check no bounds, are worth the two
/// and three times as long that they take to compile.
constexpr int64_t kLargeWork = 1'000'000'000;
constexpr int64_t kExactWork = 4'000'000'000;
constexpr int64_t kManySquare = 150;
constexpr int64_t kManyMedium = 230;
/// Multiply-adds of a product that are worth a second pass over slices of large tiles, and the
/// depth of a slice.
constexpr int64_t kMuchWork = 400'000'000;
constexpr int64_t kSliceDepth = 192;
/// Of subgroup matrices: one workgroup for most of a large device's cores.
constexpr int64_t kCores = 90;

/// Would less than half of a large tile be of use? Where dims vary, a second variant is compiled
/// for it, which only large layers are worth.
bool too_small_for_large(int64_t m, int64_t n, int64_t k, Varies varies) {
  if (varies.any) return varies.n || n < 512 || k < 128;
  return m <= 32 || n <= 64 || k < kLarge.depth;
}

Tiling small_tiling(const Target& target, int64_t m, Varies varies) {
  Tiling tiling = m <= kFlatRows && !varies.m ? kFlat : kSmall;
  while (tiling.wm * tiling.wn * tiling.parts > target.max_invocations) tiling.parts /= 2;
  return tiling;
}

/// One program for most products, since compiling takes longer than computing there.
Tiling emulated_tiling(int64_t m, int64_t n, int64_t k, Varies varies) {
  Tiling tiling = !varies.any && m > 32 && n > 32 ? kSquare : Tiling{};
  tiling.slice_depth = k;
  return tiling;
}

/// Cuts the depth of a product of too few tiles into slices, for at most `wanted` workgroups.
template <class T>
void split_depth(T& tiling, int64_t k, int64_t tiles, int64_t wanted, Varies varies) {
  tiling.slice_depth = k;
  // A second pass costs as much as some 400 steps of the depth.
  if (varies.any || k < 1024 || 2 * tiles > wanted) return;
  slice_depth(tiling, k, std::min(wanted / tiles, k / 256));
}

/// Does a product take so many multiply-adds?
bool takes(int64_t least, int64_t m, int64_t n, int64_t k, int64_t count) {
  return m * n * count >= least / std::max<int64_t>(k, 1);
}

/// A product of much work but few large tiles: those in four or eight slices of the depth, where
/// that makes two workgroups for each core.
std::optional<Tiling> deep_slices(const Target& target, int64_t m, int64_t n, int64_t k,
                                  int64_t count) {
  if (m <= 32 || n <= 32 || k < 4 * kSliceDepth || !takes(kMuchWork, m, n, k, count)) {
    return std::nullopt;
  }
  for (Tiling tiling : {kLarge, kSquare}) {
    if (tiling.tn4 == 2 && too_small_for_large(m, n, k, {})) continue;
    const int64_t tiles = tiling.tiles_m(m) * tiling.tiles_n(n) * count;
    for (const int64_t slices : {4, 8}) {
      if (k < kSliceDepth * slices || tiles * slices < 2 * int64_t{target.cores}) continue;
      slice_depth(tiling, k, slices);
      return tiling;
    }
  }
  return std::nullopt;
}

}  // namespace

Tiling tiling_of(const Target& target, int64_t m, int64_t n, int64_t k, int64_t count,
                 Varies varies) {
  if (target.emulated) return emulated_tiling(m, n, k, varies);
  const auto tiles = [&](const Tiling& t) { return t.tiles_m(m) * t.tiles_n(n) * count; };
  const auto are = [&](int64_t many, const Tiling& t) {
    return tiles(t) >= (many * target.cores + 99) / 100;
  };
  // Worth a program of its own for large products only.
  const bool exact = !varies.any && kLarge.is_exact(m, n, k) && takes(kExactWork, m, n, k, count);
  if (!too_small_for_large(m, n, k, varies) && (varies.any || takes(kLargeWork, m, n, k, count)) &&
      are(exact ? kManyExact : kManyLarge, kLarge)) {
    Tiling tiling = kLarge;
    tiling.exact = exact;
    tiling.writable = exact && target.writable_operands;
    return tiling;
  }
  if (!varies.any) {
    const auto sliced = deep_slices(target, m, n, k, count);
    if (sliced && (sliced->tn4 == 2 || !are(kManySquare, kSquare))) return *sliced;
    if (m > 32 && n > 32 && are(kManySquare, kSquare)) return kSquare;
    if (m > kFlatRows && n > 32 && are(kManyMedium, kMedium)) return kMedium;
  }
  Tiling tiling = small_tiling(target, m, varies);
  // Three for each core: two and a half would leave cores idle at last.
  split_depth(tiling, k, tiles(tiling), 3 * int64_t{target.cores}, varies);
  return tiling;
}

int64_t SubgroupTiling::storage() const {
  // Rows of eights and one more, of either layout; or the sums on their way out.
  const int64_t pitch = depth / 8 + 1;
  const int64_t a = std::max(rows() * pitch, depth * (rows() / 8 + 1));
  const int64_t b = std::max(columns() * pitch, depth * (columns() / 8 + 1));
  const int64_t out = int64_t{gm} * gn * shape.m * fn * shape.n / 4;
  return std::max(a + b, out) * 16;
}

bool SubgroupTiling::fits(const Target& target) const {
  const int64_t invocations = int64_t{subgroup} * gm * gn;
  const auto shared = [&](int64_t edge) { return edge * depth / 8 % invocations == 0; };
  return invocations <= target.max_invocations && shared(rows()) && shared(columns()) &&
         storage() <= static_cast<int64_t>(target.max_workgroup_storage);
}

int64_t Tiling::storage() const {
  const int64_t rows = int64_t{wm} * tm;
  const int64_t columns = int64_t{wn} * tn4;  // by fours
  // With the fours that keep rows out of one bank.
  const int64_t tiles = rows * (depth / 4 + 1) + int64_t{depth} * (columns + 1);
  const int64_t sums = parts > 1 ? int64_t{wm} * wn * parts * tm * tn4 : 0;
  return std::max(tiles, sums) * 16;
}

std::optional<SubgroupTiling> subgroup_tiling_of(const Target& target, int64_t m, int64_t n,
                                                 int64_t k, int64_t count, Varies varies,
                                                 std::optional<bool> large) {
  const MatrixShape shape = target.matrix_f16;
  const auto fits = [](uint32_t extent) { return extent == 8 || extent == 16; };
  if (!fits(shape.m) || !fits(shape.n) || !fits(shape.k)) return std::nullopt;
  // How invocations share matrices is known for one size of subgroups only.
  const uint32_t subgroup = target.subgroup_max;
  if (subgroup == 0 || subgroup != target.subgroup_min) return std::nullopt;
  const auto tiles = [&](int64_t edge) { return (m + edge - 1) / edge * ((n + edge - 1) / edge); };
  const int64_t edge = large.value_or(m > 32 && n > 32 && tiles(64) * count >= kCores) ? 64 : 32;
  SubgroupTiling tiling{.shape = shape, .subgroup = subgroup};
  tiling.fm = static_cast<uint32_t>(edge) / tiling.gm / shape.m;
  tiling.fn = static_cast<uint32_t>(edge) / tiling.gn / shape.n;
  if (!tiling.fits(target)) return std::nullopt;
  split_depth(tiling, k, tiles(edge) * count, 256, varies);
  return tiling;
}

std::optional<Tiling> other_tiling(const Target& target, const Tiling& tiling, int64_t m, int64_t n,
                                   int64_t k, Varies varies) {
  if (target.emulated || !varies.any || too_small_for_large(m, n, k, varies)) return std::nullopt;
  return tiling.tn4 == 1 ? kLarge : small_tiling(target, m, varies);
}

}  // namespace quern
