#include "ops/common/norm_rows.h"

#include <algorithm>
#include <bit>
#include <numeric>

#include "ops/common/gemm.h"

namespace quern {
namespace {

Result<size_t> checked_axis(const OpContext& ctx, int64_t axis, size_t rank) {
  const int64_t from_start = axis < 0 ? axis + static_cast<int64_t>(rank) : axis;
  if (from_start < 0 || from_start >= std::max<int64_t>(static_cast<int64_t>(rank), 1)) {
    return ctx.error(cat("axis ", axis, " of a tensor of rank ", rank));
  }
  return static_cast<size_t>(from_start);
}

/// What a group of invocations that share a row reduces by: the SUBGROUP of reduce_subgroup.wgsl,
/// or 0 for reduce_tree.wgsl, where there are none or they may be tiny.
uint32_t subgroup_of(const RowSchedule& schedule, const Target& target) {
  const bool usable =
      target.subgroups && target.subgroup_min >= 4 && !target.emulated && schedule.lanes > 1;
  return usable ? std::bit_floor(target.subgroup_min) : 0;
}

struct SoftmaxConfig {
  RowSchedule schedule;
  uint32_t subgroup = 0;
  bool log = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", schedule.workgroup);
    f("LANES", schedule.lanes);
    f("HELD", schedule.held);
    f("SUBGROUP", subgroup);
    f("LOG", log);
  }
};

struct NormConfig {
  RowSchedule schedule;
  uint32_t subgroup = 0;
  bool rms, scale, bias, mean, inv;
  template <class F>
  void fields(F&& f) const {
    f("WG", schedule.workgroup);
    f("LANES", schedule.lanes);
    if (schedule.held > 0) f("HELD", schedule.held);
    f("SUBGROUP", subgroup);
    f("RMS", rms);
    f("SCALE", uint32_t{scale});
    f("BIAS", uint32_t{bias});
    f("MEAN", uint32_t{mean});
    f("INV", uint32_t{inv});
  }
};

/// softmax_quads.wgsl.
struct SoftmaxQuads {
  RowSchedule schedule;
  uint32_t subgroup = 0;
  bool log = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", schedule.workgroup);
    f("SUBGROUP", subgroup);
    f("LOG", log);
  }
};

/// layer_normalization_quads.wgsl.
struct NormQuads {
  NormConfig norm;
  template <class F>
  void fields(F&& f) const {
    norm.fields([&](std::string_view name, const auto& value) {
      if (name != "LANES") f(name, value);
    });
  }
};

/// Dispatches a kernel over whole rows that reads x and writes y: in ranges of rows where it can't
/// bind them whole (docs/large-tensors.md). The count of rows is its first parameter.
Result<void> dispatch_rows(LowerContext& ctx, KernelCall call, const Rows& rows,
                           const RowSchedule& schedule) {
  const auto limit = static_cast<int64_t>(ctx.target().max_binding_bytes);
  int64_t widest = 32;  // narrow results go through f32
  int64_t period = 1;   // rows, of aligned bytes
  bool fits = rows.inner != 1;
  for (const KernelBinding& b : call.bindings) {
    if (b.name != "x" && b.name != "y") continue;
    const int64_t bits = bit_width(b.dtype);
    widest = std::max(widest, bits);
    period = std::lcm(period, 2048 / std::gcd(int64_t{2048}, rows.length * bits));
  }
  fits = fits || rows.rows * rows.length * widest / 8 <= limit;
  const int64_t most = limit * 8 / widest / rows.length / period * period;
  if (fits || most == 0) {
    call.workgroups = row_workgroups(rows, schedule, ctx.target());
    return ctx.dispatch(std::move(call));
  }
  for (int64_t first = 0; first < rows.rows; first += most) {
    KernelCall part = call;
    const Rows some{std::min(most, rows.rows - first), rows.length, 1};
    for (KernelBinding& b : part.bindings) {
      if (b.name != "x" && b.name != "y") continue;
      b.count = static_cast<uint64_t>(some.rows * some.length);
      b.storage =
          ctx.window(b.storage, byte_size(b.dtype, static_cast<uint64_t>(first * rows.length)),
                     byte_size(b.dtype, b.count));
    }
    part.params[0] = static_cast<uint32_t>(some.rows);
    part.workgroups = row_workgroups(some, schedule, ctx.target());
    part.epilogue_at = {};
    QUERN_TRY(ctx.dispatch(std::move(part)));
  }
  return {};
}

int64_t version_axis(const OpContext& ctx) {
  return ctx.node().int_or("axis", ctx.version() < 13 ? 1 : -1);
}

}  // namespace

Rows rows_along(const Dims& dims, size_t axis, bool flatten) {
  Rows rows{1, 1, 1};
  for (size_t i = 0; i < dims.size(); ++i) {
    if (i < axis) {
      rows.rows *= dims[i];
    } else if (i == axis || flatten) {
      rows.length *= dims[i];
    } else {
      rows.inner *= dims[i];
    }
  }
  rows.rows *= rows.inner;
  return rows;
}

RowSchedule held_schedule(const Rows& rows, bool fixed) {
  RowSchedule schedule = row_schedule(rows);
  if (!fixed || rows.inner != 1 || rows.length % 4 != 0) return schedule;
  const int64_t fours = rows.length / 4;
  // Enough invocations for a few fours each; a row of a few fours shares its workgroup with others.
  uint32_t lanes = 8;
  while (lanes < 256 && fours > int64_t{lanes} * 4) lanes *= 2;
  const int64_t held = (fours + lanes - 1) / lanes;
  if (held > 8) return schedule;
  return {std::max(lanes, 64u), lanes, static_cast<uint32_t>(held)};
}

std::optional<RowSchedule> quads_schedule(const Rows& rows, const Target& target) {
  if (rows.inner != 1 || rows.length <= 2048) return std::nullopt;
  const uint32_t most = std::min(1024u, target.max_invocations);
  uint32_t lanes = 128;
  while (lanes * 2 <= most && rows.length > int64_t{lanes} * 16) lanes *= 2;
  return RowSchedule{lanes, lanes};
}

RowSchedule row_schedule(const Rows& rows) {
  // Neighbouring rows of a strided tensor are neighbours in memory: one invocation each.
  if (rows.inner > 1 && (rows.length <= 256 || rows.rows >= 4096)) return {64, 1};
  if (rows.length <= 64 && rows.inner == 1) return {64, 8};
  if (rows.length <= 1024) return {64, 64};
  return {256, 256};
}

std::array<uint64_t, 3> row_workgroups(const Rows& rows, const RowSchedule& schedule,
                                       const Target& target) {
  const uint64_t each = schedule.workgroup / schedule.lanes;
  return split_workgroups((static_cast<uint64_t>(rows.rows) + each - 1) / each, target);
}

Result<NormRows> layer_norm_rows(const OpContext& ctx, bool rms) {
  const Dims& dims = ctx.input(0).dims;
  QUERN_ASSIGN(const size_t axis, checked_axis(ctx, ctx.node().int_or("axis", -1), dims.size()));
  const Rows rows = rows_along(dims, axis, true);
  NormRows norm;
  norm.rows = rows.rows;
  norm.length = rows.length;
  norm.axis = axis;
  norm.epsilon = ctx.node().float_or("epsilon", 1e-5f);
  norm.rms = rms;
  for (size_t i = 1; i < 3; ++i) {
    if (!ctx.has_input(i)) continue;
    const TensorInfo& t = ctx.input(i);
    if (t.count() == 1 && rows.length != 1) {
      norm.divisor = std::max<int64_t>(rows.length, 1);
      continue;
    }
    // Of the normalised axes, perhaps with more axes of extent 1 before them.
    bool same = t.count() == rows.length && t.rank() <= dims.size();
    for (size_t j = 0; same && j < t.rank(); ++j) {
      const int64_t d = t.dims[t.rank() - 1 - j];
      same = d == dims[dims.size() - 1 - j] || (d == 1 && j >= dims.size() - axis);
    }
    if (!same) {
      return unsupported(cat(ctx.node().describe(), ": scale or bias ", t.dims,
                             " for normalised axes from ", axis, " of ", dims));
    }
    if (norm.divisor != 1) {
      return unsupported(cat(ctx.node().describe(), ": scale and bias of different shapes"));
    }
  }
  return norm;
}

Result<NormRows> instance_norm_rows(const OpContext& ctx) {
  const Dims& dims = ctx.input(0).dims;
  const Rows rows = rows_along(dims, 2, true);
  if (ctx.input(1).dims != Dims{dims[1]} || ctx.input(2).dims != Dims{dims[1]}) {
    return ctx.error(cat("scale and bias must have one element a channel of ", dims));
  }
  NormRows norm;
  norm.rows = rows.rows;
  norm.length = rows.length;
  norm.axis = 2;
  norm.group_rows = dims[1];
  norm.group_step = 1;
  norm.divisor = std::max<int64_t>(rows.length, 1);
  norm.epsilon = ctx.node().float_or("epsilon", 1e-5f);
  return norm;
}

Result<NormRows> group_norm_rows(const OpContext& ctx) {
  const Dims& dims = ctx.input(0).dims;
  const int64_t groups = ctx.node().int_or("num_groups", 0);
  if (groups < 1 || dims[1] % groups != 0) {
    return ctx.error(cat("num_groups ", groups, " of ", dims[1], " channels"));
  }
  // Before version 21 scale and bias were one a group.
  const bool per_group = ctx.version() < 21;
  const int64_t want = per_group ? groups : dims[1];
  if (ctx.input(1).count() != want || ctx.input(2).count() != want) {
    return ctx.error(cat("scale and bias must have ", want, " elements"));
  }
  const Rows spatial = rows_along(dims, 2, true);
  NormRows norm;
  norm.rows = dims[0] * groups;
  norm.axis = 1;
  norm.length = dims[1] / groups * spatial.length;
  norm.group_rows = groups;
  norm.group_step = per_group ? 1 : dims[1] / groups;
  norm.divisor = std::max<int64_t>(per_group ? norm.length : spatial.length, 1);
  norm.epsilon = ctx.node().float_or("epsilon", 1e-5f);
  return norm;
}

Result<void> lower_norm(LowerContext& ctx, const NormRows& norm) {
  QUERN_TRY(check_u32(ctx, ctx.input(0).count()));
  if (ctx.input(0).count() == 0) return {};
  const Rows rows{norm.rows, norm.length, 1};
  const auto wanted = [&](size_t i) { return i < ctx.output_count() && ctx.output(i).present; };
  const bool fixed =
      norm.divisor == 1 && norm.group_step % 4 == 0 && ctx.input(0).is_baked_from(norm.axis);
  NormConfig config{.schedule = held_schedule(rows, fixed),
                    .rms = norm.rms,
                    .scale = ctx.has_input(1),
                    .bias = ctx.has_input(2),
                    .mean = !norm.rms && wanted(1),
                    .inv = wanted(norm.rms ? 1 : 2)};
  const auto quads = norm.divisor == 1 && config.schedule.held == 0
                         ? quads_schedule(rows, ctx.target())
                         : std::nullopt;
  if (quads) config.schedule = *quads;
  config.subgroup = subgroup_of(config.schedule, ctx.target());
  KernelCall call;
  call.kernel = quads                      ? "layer_normalization_quads"
                : config.schedule.held > 0 ? "layer_normalization_held"
                                           : "layer_normalization";
  call.config = quads ? config_of(NormQuads{config}) : config_of(config);
  call.bindings = {ctx.bind_in("x", 0)};
  if (config.scale) call.bindings.push_back(ctx.bind_in("scale", 1));
  if (config.bias) call.bindings.push_back(ctx.bind_in("b", 2));
  call.bindings.push_back(ctx.bind_out("y", 0));
  if (config.mean) call.bindings.push_back(ctx.bind_out("mean", 1));
  if (config.inv) call.bindings.push_back(ctx.bind_out("inv_std_dev", norm.rms ? 1 : 2));
  call.params = {static_cast<uint32_t>(norm.rows),       static_cast<uint32_t>(norm.length),
                 static_cast<uint32_t>(norm.group_rows), static_cast<uint32_t>(norm.group_step),
                 static_cast<uint32_t>(norm.divisor),    word_of(norm.epsilon)};
  call.stores_fours = config.schedule.held > 0 && !config.mean && !config.inv;
  call.epilogue_at = "y";
  if (norm.group_rows == 1 && !config.mean && !config.inv) {
    return dispatch_rows(ctx, std::move(call), rows, config.schedule);
  }
  call.workgroups = row_workgroups(rows, config.schedule, ctx.target());
  return ctx.dispatch(std::move(call));
}

Result<size_t> softmax_axis(const OpContext& ctx, bool* flatten) {
  *flatten = ctx.version() < 13;
  const size_t rank = ctx.input(0).rank();
  const int64_t axis = version_axis(ctx);
  if (*flatten && axis == static_cast<int64_t>(rank)) return rank;
  return checked_axis(ctx, axis, rank);
}

Result<void> infer_softmax(InferContext& ctx) {
  const Shape* x = ctx.shape(0);
  if (x != nullptr && !x->empty()) {
    const int64_t axis = ctx.node().int_or("axis", ctx.version() < 13 ? 1 : -1);
    const bool end = ctx.version() < 13 && axis == static_cast<int64_t>(x->size());
    if (!end) QUERN_TRY(ctx.axis(axis, x->size()));
  }
  ctx.set(0, ctx.type(0));
  return {};
}

Result<void> lower_softmax(LowerContext& ctx, bool log) {
  QUERN_TRY(check_u32(ctx, ctx.input(0).count()));
  if (ctx.input(0).count() == 0) return {};
  bool flatten = false;
  QUERN_ASSIGN(const size_t axis, softmax_axis(ctx, &flatten));
  const Rows rows = rows_along(ctx.input(0).dims, axis, flatten);
  SoftmaxConfig config{.schedule = held_schedule(rows, ctx.input(0).is_baked_from(axis)),
                       .log = log};
  config.subgroup = subgroup_of(config.schedule, ctx.target());
  KernelCall call;
  call.kernel = "softmax";
  call.config = config_of(config);
  call.bindings = {ctx.bind_in("x", 0), ctx.bind_out("y", 0)};
  call.params = {static_cast<uint32_t>(rows.rows), static_cast<uint32_t>(rows.length),
                 static_cast<uint32_t>(rows.inner)};
  if (config.schedule.held == 0) {
    if (const auto quads = quads_schedule(rows, ctx.target())) {
      config.schedule = *quads;
      call.kernel = "softmax_quads";
      call.config = config_of(SoftmaxQuads{*quads, subgroup_of(*quads, ctx.target()), log});
      call.params.pop_back();
    }
  }
  call.stores_fours = config.schedule.held > 0;
  call.epilogue_at = "y";
  return dispatch_rows(ctx, std::move(call), rows, config.schedule);
}

}  // namespace quern
