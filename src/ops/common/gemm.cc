#include "ops/common/gemm.h"

#include <algorithm>

namespace quern {
namespace {

/// Rows up to which a product is done as matrix times vectors.
constexpr int64_t kVectorRows = 4;

/// The optional bindings.
struct Extras {
  bool integer = false, bias = false, a_zero = false, b_zero = false;
  template <class F>
  void fields(F&& f) const {
    if (integer) {
      f("A_ZERO", uint32_t{a_zero});
      f("B_ZERO", uint32_t{b_zero});
    } else {
      f("BIAS", uint32_t{bias});
    }
  }
};

struct TileConfig {
  uint32_t wm = 16, wn = 16, tm = 4, tk = 16;
  bool a_t = false, b_t = false, vec_a = false, vec_b = false;
  Extras extras;
  template <class F>
  void fields(F&& f) const {
    f("WM", wm);
    f("WN", wn);
    f("TM", tm);
    f("TK", tk);
    f("A_T", a_t);
    f("B_T", b_t);
    f("VEC_A", vec_a);
    f("VEC_B", vec_b);
    extras.fields(f);
  }
};

struct VectorConfig {
  uint32_t rows = 4, cq = 16, slices = 16;
  bool b_t = false, vec_a = false, vec_b = false;
  Extras extras;
  template <class F>
  void fields(F&& f) const {
    f("ROWS", rows);
    f("CQ", cq);
    f("SLICES", slices);
    f("B_T", b_t);
    f("VEC_A", vec_a);
    f("VEC_B", vec_b);
    extras.fields(f);
  }
};

uint32_t word(int64_t value) { return static_cast<uint32_t>(value); }

/// Are all rows of 4 neighbours along the axis of stride 1 at element indices divisible by 4?
bool aligned(int64_t contiguous, int64_t other, int64_t length, int64_t start,
             const std::vector<BatchAxis>& batch, int64_t BatchAxis::* stride) {
  bool ok = contiguous == 1 && other % 4 == 0 && length % 4 == 0 && start % 4 == 0;
  for (const BatchAxis& axis : batch) ok = ok && axis.*stride % 4 == 0;
  return ok;
}

struct Strided {
  int64_t y_row, y_col, y_start;
};

/// One dispatch: at most three batch axes.
Result<void> dispatch_one(LowerContext& ctx, const GemmCall& g, const Strided& y) {
  std::vector<BatchAxis> batch = g.batch;
  int64_t count = 1;
  for (const BatchAxis& axis : batch) count *= axis.size;
  while (batch.size() < 3) batch.insert(batch.begin(), BatchAxis{});
  if (g.m == 0 || g.n == 0 || count == 0) return {};

  KernelCall call;
  call.bindings = {g.a, g.b};
  for (const auto& extra : {g.a_zero, g.b_zero, g.c}) {
    if (extra) call.bindings.push_back(*extra);
  }
  const Extras extras{g.integer, g.c.has_value(), g.a_zero.has_value(), g.b_zero.has_value()};
  call.bindings.push_back(g.y);
  if (g.epilogue) call.epilogue_at = g.y.name;

  std::vector<uint32_t> strides = {word(batch[1].size), word(batch[2].size), word(batch[0].a),
                                   word(batch[1].a),    word(batch[2].a),    word(g.a_row),
                                   word(g.a_col),       word(batch[0].b),    word(batch[1].b),
                                   word(batch[2].b),    word(g.b_row),       word(g.b_col),
                                   word(g.a_start),     word(g.b_start),     word(y.y_start)};
  if (g.integer) {
    strides.insert(strides.end(), {word(g.a_zero_step), word(g.b_zero_step)});
  } else {
    strides.insert(strides.end(),
                   {word_of(g.alpha), word_of(g.beta), word(g.c_row), word(g.c_col)});
  }
  const bool b_t = g.b_col != 1 && g.b_row == 1;
  uint64_t tiles = 0;
  if (g.m <= kVectorRows) {
    VectorConfig config;
    config.rows = g.m == 1 ? 1 : 4;
    config.b_t = b_t;
    if (b_t) {
      config.cq = 4;
      config.slices = 64;
    }
    config.vec_a = b_t && aligned(g.a_col, g.a_row, g.k, g.a_start, batch, &BatchAxis::a);
    config.vec_b = b_t ? aligned(g.b_row, g.b_col, g.k, g.b_start, batch, &BatchAxis::b)
                       : aligned(g.b_col, g.b_row, g.n, g.b_start, batch, &BatchAxis::b);
    config.extras = extras;
    const int64_t tiles_n = (g.n + config.cq * 4 - 1) / (config.cq * 4);
    call.kernel = g.integer ? "matvec_integer" : "matvec";
    call.config = config_of(config);
    call.params = {word(g.m), word(g.n), word(g.k), word(tiles_n), word(count)};
    strides.push_back(word(y.y_row));
    strides.push_back(word(y.y_col));
    tiles = static_cast<uint64_t>(tiles_n * count);
  } else {
    TileConfig config;
    // A tile of 64 x 64 wants enough of them to fill a device.
    if (g.m <= 32 || g.n <= 32 || ((g.m + 63) / 64) * ((g.n + 63) / 64) * count < 16) {
      config.wm = 8;
      config.wn = 8;
    }
    config.a_t = g.a_col != 1 && g.a_row == 1;
    config.b_t = b_t;
    config.vec_a = aligned(g.a_col, g.a_row, g.k, g.a_start, batch, &BatchAxis::a);
    config.vec_b = aligned(g.b_col, g.b_row, g.n, g.b_start, batch, &BatchAxis::b);
    config.extras = extras;
    const int64_t bm = config.wm * config.tm;
    const int64_t bn = config.wn * 4;
    const int64_t tiles_m = (g.m + bm - 1) / bm;
    const int64_t tiles_n = (g.n + bn - 1) / bn;
    call.kernel = g.integer ? "matmul_integer" : "matmul";
    call.config = config_of(config);
    call.params = {word(g.m), word(g.n), word(g.k), word(tiles_m), word(tiles_n), word(count)};
    tiles = static_cast<uint64_t>(tiles_m * tiles_n * count);
  }
  call.params.insert(call.params.end(), strides.begin(), strides.end());
  call.workgroups = split_workgroups(tiles, ctx.target());
  return ctx.dispatch(std::move(call));
}

Result<void> dispatch_outer(LowerContext& ctx, GemmCall& g, Strided y, size_t axis) {
  if (g.batch.size() - axis <= 3) {
    GemmCall inner = g;
    inner.batch.erase(inner.batch.begin(), inner.batch.begin() + static_cast<std::ptrdiff_t>(axis));
    return dispatch_one(ctx, inner, y);
  }
  int64_t block = g.m * g.n;
  for (size_t i = axis + 1; i < g.batch.size(); ++i) block *= g.batch[i].size;
  const BatchAxis outer = g.batch[axis];
  const int64_t a_start = g.a_start;
  const int64_t b_start = g.b_start;
  for (int64_t i = 0; i < outer.size; ++i) {
    g.a_start = a_start + i * outer.a;
    g.b_start = b_start + i * outer.b;
    QUERN_TRY(dispatch_outer(ctx, g, {y.y_row, y.y_col, y.y_start + i * block}, axis + 1));
  }
  g.a_start = a_start;
  g.b_start = b_start;
  return {};
}

}  // namespace

std::vector<BatchAxis> batch_axes(std::span<const int64_t> a, std::span<const int64_t> b,
                                  int64_t a_matrix, int64_t b_matrix) {
  const size_t rank = std::max(a.size(), b.size());
  std::vector<BatchAxis> axes(rank);
  int64_t a_stride = a_matrix;
  int64_t b_stride = b_matrix;
  for (size_t i = 0; i < rank; ++i) {
    const int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t db = i < b.size() ? b[b.size() - 1 - i] : 1;
    axes[rank - 1 - i] = {da == 1 ? db : da, da == 1 ? 0 : a_stride, db == 1 ? 0 : b_stride};
    a_stride *= da;
    b_stride *= db;
  }
  return axes;
}

std::vector<BatchAxis> collapse_batch(const std::vector<BatchAxis>& axes) {
  std::vector<BatchAxis> out;
  for (const BatchAxis& axis : axes) {
    if (axis.size == 1) continue;
    if (!out.empty() && out.back().a == axis.a * axis.size && out.back().b == axis.b * axis.size) {
      out.back() = {out.back().size * axis.size, axis.a, axis.b};
    } else {
      out.push_back(axis);
    }
  }
  return out;
}

Result<void> check_u32(LowerContext& ctx, int64_t count) {
  if (count < 0 || count > int64_t{UINT32_MAX}) {
    return limit_exceeded(cat(ctx.node().describe(), ": a tensor of ", count,
                              " elements, more than a kernel can index"));
  }
  return {};
}

Result<void> dispatch_gemm(LowerContext& ctx, GemmCall g) {
  g.batch = collapse_batch(std::move(g.batch));
  // Rows of the innermost batch axis continue those of the matrix where b is one for all.
  if (!g.batch.empty() && g.batch.back().b == 0 && g.batch.back().a == g.m * g.a_row && !g.c &&
      g.a_zero_step == 0) {
    g.m *= g.batch.back().size;
    g.batch.pop_back();
  }
  int64_t count = g.m * g.n;
  for (const BatchAxis& axis : g.batch) count *= axis.size;
  QUERN_TRY(check_u32(ctx, count));
  QUERN_TRY(check_u32(ctx, static_cast<int64_t>(g.a.count)));
  QUERN_TRY(check_u32(ctx, static_cast<int64_t>(g.b.count)));
  Strided y = {g.n, 1, 0};
  if (g.n <= kVectorRows && g.m > g.n) {
    // A few columns: the transposed product has few rows.
    std::swap(g.a, g.b);
    std::swap(g.a.name, g.b.name);
    std::swap(g.m, g.n);
    std::swap(g.a_start, g.b_start);
    const int64_t a_row = g.a_row, a_col = g.a_col;
    g.a_row = g.b_col;
    g.a_col = g.b_row;
    g.b_row = a_col;
    g.b_col = a_row;
    std::swap(g.c_row, g.c_col);
    std::swap(g.a_zero, g.b_zero);
    if (g.a_zero) g.a_zero->name = "a_zero";
    if (g.b_zero) g.b_zero->name = "b_zero";
    std::swap(g.a_zero_step, g.b_zero_step);
    for (BatchAxis& axis : g.batch) std::swap(axis.a, axis.b);
    y = {1, g.m, 0};
  }
  return dispatch_outer(ctx, g, y, 0);
}

}  // namespace quern
