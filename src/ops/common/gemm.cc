#include "ops/common/gemm.h"

#include <algorithm>
#include <type_traits>
#include <variant>

#include "ops/common/forms.h"

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
  Tiling tiling;
  bool a_t = false, b_t = false, vec_a = false, vec_b = false, vec_y = false, half = false;
  Extras extras;
  template <class F>
  void fields(F&& f) const {
    tiling.fields([&](std::string_view name, uint32_t value) {
      // matmul_integer.wgsl is of one kind of tile.
      const bool fixed = name == "TN4" || name == "PARTS" || name == "SHARED";
      if (!extras.integer || !fixed) f(name, value);
    });
    if (!extras.integer) {
      f("EXACT", uint32_t{tiling.exact});
      f("VEC_Y", uint32_t{vec_y});
      f("HALF", uint32_t{half});
    }
    f("A_T", a_t);
    f("B_T", b_t);
    f("VEC_A", vec_a);
    f("VEC_B", vec_b);
    extras.fields(f);
  }
};

/// matmul_subgroup.wgsl.
struct SubgroupConfig {
  SubgroupTiling tiling;
  bool a_t = false, b_t = false, vec_a = false, vec_b = false, vec_y = false, bias = false,
       k_tail = true;
  template <class F>
  void fields(F&& f) const {
    f("SUBGROUP", tiling.subgroup);
    f("GM", tiling.gm);
    f("GN", tiling.gn);
    f("FM", tiling.fm);
    f("FN", tiling.fn);
    f("MM", tiling.shape.m);
    f("MN", tiling.shape.n);
    f("MK", tiling.shape.k);
    f("TK", tiling.depth);
    f("A_T", a_t);
    f("B_T", b_t);
    f("VEC_A", vec_a);
    f("VEC_B", vec_b);
    f("VEC_Y", uint32_t{vec_y});
    f("BIAS", uint32_t{bias});
    f("K_TAIL", uint32_t{k_tail});
  }
};

struct VectorConfig {
  uint32_t rows = 4, cq = 16, slices = 16;
  bool b_t = false, vec_a = false, vec_b = false, vec_y = false;
  Extras extras;
  template <class F>
  void fields(F&& f) const {
    f("ROWS", rows);
    if (!extras.integer) f("VEC_Y", uint32_t{vec_y});
    f("CQ", cq);
    f("SLICES", slices);
    f("B_T", b_t);
    f("VEC_A", vec_a);
    f("VEC_B", vec_b);
    extras.fields(f);
  }
};

/// Are all rows of `by` neighbours along the axis of stride 1 at element indices divisible by that?
bool aligned(int64_t contiguous, int64_t other, int64_t length, int64_t start,
             const std::vector<BatchAxis>& batch, int64_t BatchAxis::* stride, int64_t by = 4) {
  bool ok = contiguous == 1 && other % by == 0 && length % by == 0 && start % by == 0;
  for (const BatchAxis& axis : batch) ok = ok && axis.*stride % by == 0;
  return ok;
}

struct Strided {
  int64_t y_row, y_col, y_start;
};

/// What both kernels take first, and last.
struct CommonParams {
  std::vector<BatchAxis> batch;  ///< three
  int64_t count;
  std::vector<uint32_t> strides;
};

CommonParams common_params(const GemmCall& g, const Strided& y) {
  CommonParams p{g.batch, batch_count(g.batch), {}};
  while (p.batch.size() < 3) p.batch.insert(p.batch.begin(), BatchAxis{});
  const auto& batch = p.batch;
  p.strides = {word(batch[1].size), word(batch[2].size), word(batch[0].a), word(batch[1].a),
               word(batch[2].a),    word(g.a_row),       word(g.a_col),    word(batch[0].b),
               word(batch[1].b),    word(batch[2].b),    word(g.b_row),    word(g.b_col),
               word(g.a_start),     word(g.b_start),     word(y.y_start)};
  return p;
}

Extras bind_extras(const GemmCall& g, KernelCall& call) {
  call.bindings = {g.a, g.b};
  for (const auto& extra : {g.a_zero, g.b_zero, g.c}) {
    if (extra) call.bindings.push_back(*extra);
  }
  call.bindings.push_back(g.y);
  if (g.epilogue) call.epilogue_at = g.y.name;
  return {g.integer, g.c.has_value(), g.a_zero.has_value(), g.b_zero.has_value()};
}

void add_scaling(const GemmCall& g, std::vector<uint32_t>& params) {
  if (g.integer) {
    params.insert(params.end(), {word(g.a_zero_step), word(g.b_zero_step)});
  } else {
    params.insert(params.end(), {word_of(g.alpha), word_of(g.beta), word(g.c_row), word(g.c_col)});
  }
}

bool is_a_transposed(const GemmCall& g) { return g.a_col != 1 && g.a_row == 1; }
bool is_b_transposed(const GemmCall& g) { return g.b_col != 1 && g.b_row == 1; }
bool are_halves(const GemmCall& g) { return g.a.dtype == DType::kF16 && g.b.dtype == DType::kF16; }
bool stores_fours(const GemmCall& g) { return g.varies && !g.varies->n && g.n % 4 == 0; }

/// All that the time of a product depends on.
std::string problem_of(std::string_view kernel, const GemmCall& g, int64_t count) {
  return cat(kernel, " ", g.m, "x", g.n, "x", g.k, count > 1 ? cat(" of ", count) : "",
             is_a_transposed(g) ? " at" : "", is_b_transposed(g) ? " bt" : "", " ",
             name_of(g.a.dtype), " ", name_of(g.b.dtype), " ", name_of(g.y.dtype));
}

/// Invocations of a workgroup: columns by fours, and slices of the depth.
struct VectorForm {
  uint32_t cq = 16, slices = 16;
  bool operator==(const VectorForm&) const = default;
};

VectorForm vector_form(LowerContext& ctx, const GemmCall& g, int64_t count,
                       std::string_view kernel = "matvec") {
  const bool b_t = is_b_transposed(g);
  VectorForm form;
  const uint32_t most = std::min(ctx.target().max_invocations, 1024u);
  if (ctx.target().emulated && !g.integer) {
    form = {16, 1};
  } else if (b_t) {
    form = {4, 64};
  } else if (!g.integer) {
    // Fewer columns a workgroup, summed by more invocations, until there are some for all cores.
    constexpr int64_t kWorkgroups = 256;
    const int64_t fours = (g.n + 3) / 4 * count;
    // Of very many columns more a workgroup: neighbours in memory are loaded together.
    constexpr int64_t kManyFours = 32 * 512;
    if (fours >= kManyFours) form = {32, 8};
    while (form.cq > 4 && fours < kWorkgroups * form.cq && g.k >= 64 * form.slices) {
      form.cq /= 2;
      form.slices *= 2;
    }
    // Then more of them a workgroup: loads wait for memory, and few are under way.
    constexpr int64_t kInvocations = 131072;
    while (form.cq * form.slices * 2 <= most && fours * form.slices * 2 <= kInvocations &&
           g.k >= 16 * form.slices) {
      form.slices *= 2;
    }
  }
  if (g.integer || !ctx.is_tuned()) return form;
  std::vector<VectorForm> forms = {form};
  for (const uint32_t cq : {4u, 8u, 16u, 32u}) {
    for (uint32_t invocations = 64; invocations <= most; invocations *= 2) {
      const VectorForm other = {cq, invocations / cq};
      if (other != form && g.k >= other.slices) forms.push_back(other);
    }
  }
  const auto name = [](const VectorForm& f) { return cat(f.cq, "x", f.slices); };
  return pick(ctx, problem_of(kernel, g, count), forms, name);
}

/// gated_matvec.wgsl.
struct GatedConfig {
  uint32_t cq = 16, slices = 16;
  template <class F>
  void fields(F&& f) const {
    f("CQ", cq);
    f("SLICES", slices);
  }
};

Result<void> dispatch_vectors(LowerContext& ctx, const GemmCall& g, const Strided& y) {
  CommonParams common = common_params(g, y);
  KernelCall call;
  VectorConfig config;
  config.extras = bind_extras(g, call);
  config.rows = g.m == 1 ? 1 : 4;
  config.b_t = is_b_transposed(g);
  const auto [cq, slices] = vector_form(ctx, g, common.count);
  config.cq = cq;
  config.slices = slices;
  config.vec_y = stores_fours(g) && !g.integer && y.y_row == g.n;
  const auto& batch = common.batch;
  config.vec_a = config.b_t && aligned(g.a_col, g.a_row, g.k, g.a_start, batch, &BatchAxis::a);
  config.vec_b = config.b_t ? aligned(g.b_row, g.b_col, g.k, g.b_start, batch, &BatchAxis::b)
                            : aligned(g.b_col, g.b_row, g.n, g.b_start, batch, &BatchAxis::b);
  const int64_t tiles_n = (g.n + config.cq * 4 - 1) / (config.cq * 4);
  call.kernel = g.integer ? "matvec_integer" : "matvec";
  call.config = config_of(config);
  call.stores_fours = config.vec_y;
  call.params = {word(g.m), word(g.n), word(g.k), word(tiles_n), word(common.count)};
  call.params.insert(call.params.end(), common.strides.begin(), common.strides.end());
  add_scaling(g, call.params);
  call.params.push_back(word(y.y_row));
  call.params.push_back(word(y.y_col));
  call.workgroups = split_workgroups(static_cast<uint64_t>(tiles_n * common.count), ctx.target());
  return ctx.dispatch(std::move(call));
}

/// The call for a tiling; one slice or partial sums, by g's own y.
KernelCall tile_call(LowerContext& ctx, const GemmCall& g, const Strided& y, const Tiling& tiling) {
  CommonParams common = common_params(g, y);
  const auto& batch = common.batch;
  KernelCall call;
  TileConfig config;
  config.tiling = tiling;
  config.extras = bind_extras(g, call);
  config.a_t = is_a_transposed(g);
  config.b_t = is_b_transposed(g);
  config.vec_a = aligned(g.a_col, g.a_row, g.k, g.a_start, batch, &BatchAxis::a);
  config.vec_b = aligned(g.b_col, g.b_row, g.n, g.b_start, batch, &BatchAxis::b);
  config.vec_y = stores_fours(g) && !g.integer;
  config.half = are_halves(g) && !g.integer;
  const int64_t tiles_m = tiling.tiles_m(g.m);
  const int64_t tiles_n = tiling.tiles_n(g.n);
  call.writable = tiling.writable;
  call.kernel = g.integer ? "matmul_integer" : "matmul";
  call.config = config_of(config);
  call.stores_fours = config.vec_y;
  call.params = {word(g.m), word(g.n), word(g.k), word(tiles_m), word(tiles_n), word(common.count)};
  call.params.insert(call.params.end(), common.strides.begin(), common.strides.end());
  if (!g.integer) {
    call.params.push_back(word(tiling.slices == 1 ? g.k : tiling.slice_depth));
    call.params.push_back(word(tiling.slices));
  }
  add_scaling(g, call.params);
  call.workgroups = split_workgroups(
      static_cast<uint64_t>(tiles_m * tiles_n * common.count * tiling.slices), ctx.target());
  return call;
}

/// Likewise, by subgroup matrices.
KernelCall tile_call(LowerContext& ctx, const GemmCall& g, const Strided& y,
                     const SubgroupTiling& tiling) {
  CommonParams common = common_params(g, y);
  const auto& batch = common.batch;
  KernelCall call;
  SubgroupConfig config{.tiling = tiling};
  config.bias = bind_extras(g, call).bias;
  config.a_t = is_a_transposed(g);
  config.b_t = is_b_transposed(g);
  config.vec_a = config.a_t ? aligned(g.a_row, g.a_col, g.m, g.a_start, batch, &BatchAxis::a, 8)
                            : aligned(g.a_col, g.a_row, g.k, g.a_start, batch, &BatchAxis::a, 8);
  config.vec_b = config.b_t ? aligned(g.b_row, g.b_col, g.k, g.b_start, batch, &BatchAxis::b, 8)
                            : aligned(g.b_col, g.b_row, g.n, g.b_start, batch, &BatchAxis::b, 8);
  config.vec_y = stores_fours(g);
  config.k_tail = !g.varies || g.varies->any || g.k % tiling.depth != 0;
  const int64_t tiles_m = tiling.tiles_m(g.m);
  const int64_t tiles_n = tiling.tiles_n(g.n);
  call.kernel = "matmul_subgroup";
  call.config = config_of(config);
  call.stores_fours = config.vec_y;
  call.params = {word(g.m), word(g.n), word(g.k), word(tiles_m), word(tiles_n), word(common.count)};
  call.params.insert(call.params.end(), common.strides.begin(), common.strides.end());
  call.params.push_back(word(tiling.slices == 1 ? g.k : tiling.slice_depth));
  call.params.push_back(word(tiling.slices));
  add_scaling(g, call.params);
  call.workgroups = split_workgroups(
      static_cast<uint64_t>(tiles_m * tiles_n * common.count * tiling.slices), ctx.target());
  return call;
}

template <class T>
Result<void> dispatch_slices(LowerContext& ctx, const GemmCall& g, const Strided& y,
                             const T& tiling, int64_t count) {
  const int64_t total = tiling.slices * count * g.m * g.n;
  QUERN_TRY(check_u32(ctx, total));
  QUERN_ASSIGN(Storage scratch, ctx.scratch(static_cast<uint64_t>(total) * 4));
  GemmCall part = g;
  part.y = {"y", scratch, DType::kF32, static_cast<uint64_t>(total)};
  // The second pass adds what is to be added. By subgroup matrices c would be multiplied by beta.
  const bool shares = std::is_same_v<T, Tiling> && g.epilogue && ctx.shares_parts();
  if (!shares) part.c.reset();
  part.alpha = 1.0f;
  part.beta = 0.0f;
  part.epilogue = false;
  KernelCall call = tile_call(ctx, part, {g.n, 1, 0}, tiling);
  if (shares) call.part_at = part.y.name;
  QUERN_TRY(ctx.dispatch(std::move(call)));
  SliceSum sum{.x = part.y, .y = g.y, .c = g.c};
  sum.x.name = "x";
  sum.slices = tiling.slices;
  sum.count = count;
  sum.m = g.m;
  sum.n = g.n;
  sum.y_start = y.y_start;
  sum.c_row = g.c_row;
  sum.c_col = g.c_col;
  sum.alpha = g.alpha;
  sum.beta = g.beta;
  sum.epilogue = g.epilogue;
  return dispatch_slice_sum(ctx, sum);
}

using Form = std::variant<Tiling, SubgroupTiling>;

/// How a product of more than a few rows is done.
Form form_of(LowerContext& ctx, const GemmCall& g, int64_t count, Varies varies) {
  const Target& target = ctx.target();
  if (!ctx.is_tuned()) {
    if (are_halves(g)) {
      const auto tiling = subgroup_tiling_of(target, g.m, g.n, g.k, count, varies);
      if (tiling) return *tiling;
    }
    return tiling_of(target, g.m, g.n, g.k, count, varies);
  }
  std::vector<Form> forms;
  if (are_halves(g)) {
    for (const auto& t : subgroup_tilings_of(target, g.m, g.n, g.k, count, varies)) {
      forms.emplace_back(t);
    }
  }
  for (const auto& t : tilings_of(target, g.m, g.n, g.k, count, varies)) forms.emplace_back(t);
  const auto name = [](const Form& form) {
    return std::visit([](const auto& t) { return name_of(t); }, form);
  };
  return pick(ctx, problem_of("matmul", g, count), forms, name);
}

/// The form that another binding of the dims takes.
std::optional<Tiling> other_of(LowerContext& ctx, const GemmCall& g, int64_t /*count*/,
                               Varies varies, const Tiling& tiling) {
  return other_tiling(ctx.target(), tiling, g.m, g.n, g.k, varies);
}
std::optional<SubgroupTiling> other_of(LowerContext& ctx, const GemmCall& g, int64_t count,
                                       Varies varies, const SubgroupTiling& tiling) {
  if (!varies.any) return std::nullopt;
  return subgroup_tiling_of(ctx.target(), g.m, g.n, g.k, count, varies, !tiling.large());
}

/// One product: at most three batch axes.
Result<void> dispatch_one(LowerContext& ctx, const GemmCall& g, const Strided& y) {
  const int64_t count = batch_count(g.batch);
  if (g.m == 0 || g.n == 0 || count == 0) return {};
  if (g.m <= kVectorRows) return dispatch_vectors(ctx, g, y);
  if (g.integer) {
    Tiling tiling;
    if (g.m > 32 && g.n > 32 && ((g.m + 63) / 64) * ((g.n + 63) / 64) * count >= 16) {
      tiling.wm = 16;
      tiling.wn = 16;
    }
    return ctx.dispatch(tile_call(ctx, g, y, tiling));
  }
  const Varies varies = g.varies.value_or(Varies{true, true, true});
  const Form form = form_of(ctx, g, count, varies);
  return std::visit(
      [&](const auto& tiling) -> Result<void> {
        const auto other = other_of(ctx, g, count, varies, tiling);
        if (g.varies && other) QUERN_TRY(ctx.prepare(tile_call(ctx, g, y, *other)));
        if (tiling.slices > 1) return dispatch_slices(ctx, g, y, tiling, count);
        return ctx.dispatch(tile_call(ctx, g, y, tiling));
      },
      form);
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

/// split_sum.wgsl.
struct SumConfig {
  bool vec = false, bias = false;
  template <class F>
  void fields(F&& f) const {
    f("VEC", uint32_t{vec});
    f("BIAS", uint32_t{bias});
  }
};

}  // namespace

Result<bool> dispatch_gated_vector(LowerContext& ctx, const GemmCall& g, const KernelBinding& up) {
  const uint64_t limit = ctx.target().max_binding_bytes;
  const bool has_fours = g.b_col == 1 && g.b_row == g.n && g.n % 4 == 0 && g.a_col == 1;
  const bool is_bound = byte_size(g.b.dtype, g.b.count) <= limit && !g.c && up.count == g.b.count;
  if (!has_fours || !is_bound) return false;
  const bool is_row = g.m * batch_count(g.batch) == 1;
  if (!is_row && (!g.varies || !g.varies->m || ctx.is_tuned())) return false;
  for (const KernelBinding* b : {&g.a, &g.b, &g.y}) {
    QUERN_TRY(check_u32(ctx, static_cast<int64_t>(b->count)));
  }
  // Two matrices: as of twice the columns.
  GemmCall row = g;
  row.m = 1;
  const auto [cq, slices] = vector_form(ctx, row, 2, "gated matvec");
  const int64_t fours = g.n / 4;
  KernelCall call;
  call.kernel = "gated_matvec";
  call.config = config_of(GatedConfig{cq, slices});
  call.bindings = {g.a, g.b, up, g.y};
  call.bindings[1].name = "gate";
  call.bindings[2].name = "up";
  call.epilogue_at = "y";
  call.params = {word(fours), word(g.k)};
  call.stores_fours = true;
  call.workgroups = split_workgroups(static_cast<uint64_t>((fours + cq - 1) / cq), ctx.target());
  // Of more rows, one that is to come has its program ready.
  if (is_row) {
    QUERN_TRY(ctx.dispatch(std::move(call)));
  } else {
    QUERN_TRY(ctx.prepare(std::move(call)));
  }
  return is_row;
}

Result<void> dispatch_slice_sum(LowerContext& ctx, const SliceSum& sum) {
  const int64_t total = sum.count * sum.m * sum.n;
  const bool vec = sum.n % 4 == 0;
  const int64_t items = vec ? total / 4 : total;
  KernelCall call;
  call.kernel = "split_sum";
  call.config = config_of(SumConfig{vec, sum.c.has_value()});
  call.bindings = {sum.x};
  if (sum.c) call.bindings.push_back(*sum.c);
  call.bindings.push_back(sum.y);
  if (sum.epilogue) call.epilogue_at = sum.y.name;
  call.stores_fours = vec;
  call.params = {word(items),       word(sum.slices),  word(sum.m),
                 word(sum.n),       word(sum.y_start), word_of(sum.alpha),
                 word_of(sum.beta), word(sum.c_row),   word(sum.c_col)};
  call.workgroups = split_workgroups(static_cast<uint64_t>((items + 63) / 64), ctx.target());
  return ctx.dispatch(std::move(call));
}

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

int64_t batch_count(const std::vector<BatchAxis>& axes) {
  int64_t count = 1;
  for (const BatchAxis& axis : axes) count *= axis.size;
  return count;
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
  g.batch = collapse_batch(g.batch);
  // Rows of the innermost batch axis continue those of the matrix where b is one for all.
  if (!g.batch.empty() && g.batch.back().b == 0 && g.batch.back().a == g.m * g.a_row && !g.c &&
      g.a_zero_step == 0) {
    g.m *= g.batch.back().size;
    g.batch.pop_back();
  }
  QUERN_TRY(check_u32(ctx, g.m * g.n * batch_count(g.batch)));
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
