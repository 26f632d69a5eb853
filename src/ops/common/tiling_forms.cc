// What a tuner may try of a product besides the tables' choice.
#include <algorithm>

#include "base/text.h"
#include "ops/common/forms.h"
#include "ops/common/tiling.h"

namespace quern {
namespace {

constexpr Tiling kForms[] = {
    {.depth = 32, .parts = 4},  // 32 x 32
    {.depth = 64, .parts = 4},
    {.wm = 8, .wn = 8},
    {.wm = 4, .wn = 16, .depth = 32, .parts = 4},  // 16 x 64
    {.wm = 4, .wn = 16, .depth = 64, .parts = 4},
    {.wm = 8, .wn = 16, .depth = 32},  // 32 x 64
    {.wm = 8, .wn = 16, .parts = 2},
    {.wm = 8, .wn = 16, .depth = 32, .parts = 2},
    {.wm = 8, .wn = 16, .depth = 64, .parts = 2},
    {.wm = 8, .wn = 16, .tm = 8},  // 64 x 64
    {.wm = 8, .wn = 16, .tm = 8, .depth = 32},
    {.wm = 8, .wn = 16, .tm = 8, .depth = 32, .parts = 2},
    {.wm = 16, .wn = 16},
    {.wm = 8, .wn = 8, .tm = 8, .tn4 = 2},
    {.wm = 8, .wn = 16, .tm = 8, .tn4 = 2},  // 64 x 128
    {.wm = 8, .wn = 16, .tm = 8, .tn4 = 2, .depth = 8},
    {.wm = 16, .wn = 8, .tm = 8, .tn4 = 2},   // 128 x 64
    {.wm = 16, .wn = 16, .tm = 8, .tn4 = 2},  // 128 x 128
};

/// The depth of a product in 2, 4, 8 slices, where there are too few tiles otherwise.
template <class T, class Add>
void add_sliced(T tiling, const Target& target, int64_t k, int64_t tiles, const Add& add) {
  for (const int64_t slices : {2, 4, 8}) {
    if (k < 128 * slices || tiles * slices > 4 * int64_t{target.cores}) return;
    slice_depth(tiling, k, slices);
    add(tiling);
  }
}

/// Of subgroup matrices: subgroups, then the tile.
struct MatrixForm {
  uint32_t gm, gn, rows, columns, depth;
};
constexpr MatrixForm kMatrixForms[] = {
    {2, 1, 32, 32, 32},   {2, 1, 64, 64, 32},   {2, 1, 64, 64, 64},   {2, 1, 64, 64, 16},
    {2, 2, 64, 64, 32},   {1, 2, 64, 64, 32},   {2, 2, 64, 128, 32},  {2, 2, 128, 64, 32},
    {2, 1, 128, 64, 32},  {2, 2, 128, 128, 16}, {2, 2, 128, 128, 32}, {2, 2, 128, 128, 64},
    {4, 2, 128, 128, 32}, {2, 4, 128, 256, 32},
};

}  // namespace

std::string name_of(const Tiling& t) {
  return cat(t.wm * t.tm, "x", t.wn * t.tn4 * 4, "x", t.depth, " by ", t.wm, "x", t.wn, "x",
             t.parts, t.slices > 1 ? cat(", ", t.slices, " slices") : "", t.exact ? ", exact" : "",
             t.writable ? ", writable" : "");
}

std::vector<Tiling> tilings_of(const Target& target, int64_t m, int64_t n, int64_t k, int64_t count,
                               Varies varies) {
  std::vector<Tiling> tilings = {tiling_of(target, m, n, k, count, varies)};
  const auto add = [&](const Tiling& tiling) { add_new(tilings, tiling); };
  for (Tiling tiling : kForms) {
    const int64_t rows = int64_t{tiling.wm} * tiling.tm;
    const int64_t columns = int64_t{tiling.wn} * tiling.tn4 * 4;
    // Less than half of it would be of use.
    if (rows > 2 * std::max<int64_t>(m, 16) || columns > 2 * std::max<int64_t>(n, 32)) continue;
    if (tiling.wm * tiling.wn * tiling.parts > target.max_invocations) continue;
    if (tiling.storage() > static_cast<int64_t>(target.max_workgroup_storage)) continue;
    add(tiling);
    tiling.exact = tiling.parts == 1 && tiling.is_exact(m, n, k);
    if (tiling.exact) {
      add(tiling);
      tiling.writable = true;
      add(tiling);
    }
    tiling.exact = tiling.writable = false;
    add_sliced(tiling, target, k, tiling.tiles_m(m) * tiling.tiles_n(n) * count, add);
  }
  return tilings;
}

std::string name_of(const SubgroupTiling& t) {
  return cat("matrices ", t.rows(), "x", t.columns(), "x", t.depth, " by ", t.gm, "x", t.gn,
             t.slices > 1 ? cat(", ", t.slices, " slices") : "");
}

std::vector<SubgroupTiling> subgroup_tilings_of(const Target& target, int64_t m, int64_t n,
                                                int64_t k, int64_t count, Varies varies) {
  std::vector<SubgroupTiling> tilings;
  if (const auto first = subgroup_tiling_of(target, m, n, k, count, varies)) {
    tilings.push_back(*first);
  } else {
    return tilings;
  }
  const auto add = [&](const SubgroupTiling& tiling) {
    if (tiling.fits(target)) add_new(tilings, tiling);
  };
  for (const MatrixForm& form : kMatrixForms) {
    if (form.rows > 2 * std::max<int64_t>(m, 32) || form.columns > 2 * std::max<int64_t>(n, 32)) {
      continue;
    }
    SubgroupTiling tiling = tilings[0];
    const auto [gm, gn, rows, columns, depth] = form;
    if (rows % (gm * tiling.shape.m) != 0 || columns % (gn * tiling.shape.n) != 0 ||
        depth % tiling.shape.k != 0) {
      continue;
    }
    tiling.gm = gm;
    tiling.gn = gn;
    tiling.fm = rows / gm / tiling.shape.m;
    tiling.fn = columns / gn / tiling.shape.n;
    tiling.depth = depth;
    tiling.slices = 1;
    tiling.slice_depth = k;
    add(tiling);
    add_sliced(tiling, target, k, tiling.tiles_m(m) * tiling.tiles_n(n) * count, add);
  }
  return tilings;
}

}  // namespace quern
