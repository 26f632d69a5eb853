#include "ops/common/scatter.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "ops/common/device_program.h"
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/sort.h"

namespace quern {
namespace {

constexpr int64_t kWorkgroup = 256;

struct Config {
  template <class F>
  void fields(F&& f) const {
    f("WG", kWorkgroup);
  }
};

/// Targets of all updates on the host; indices outside of an axis are held inside.
std::vector<int64_t> host_targets(const ScatterShape& s, const HostTensor& indices) {
  std::vector<int64_t> out(static_cast<size_t>(s.updates), 0);
  std::vector<int64_t> place(s.update_dims.size(), 0);
  for (int64_t u = 0; u < s.updates; ++u) {
    for (const ScatterShape::Term& term : s.terms) {
      int64_t at = term.axis >= 0 ? place[static_cast<size_t>(term.axis)]
                                  : indices.int_at(u * s.columns + term.column);
      if (at < 0) at += term.extent;
      at = std::max<int64_t>(std::min(at, term.extent - 1), 0);
      out[static_cast<size_t>(u)] += at * term.stride;
    }
    for (size_t a = place.size(); a-- > 0;) {
      if (++place[a] < s.update_dims[a]) break;
      place[a] = 0;
    }
  }
  return out;
}

/// The target of each update, u32.
Result<Storage> device_targets(LowerContext& ctx, const ScatterShape& s) {
  QUERN_ASSIGN(const Storage targets, ctx.scratch(static_cast<uint64_t>(s.updates) * 4));
  DeviceProgram program(s.update_dims);
  const DType dtype = ctx.input(1).dtype;
  Dims index_dims = s.update_dims;
  index_dims.push_back(s.columns);
  const uint32_t indices = program.input(dtype, index_dims, ctx.in(1));
  ExprBuilder b = program.builder();
  Expr sum = b.constant_int(Scalar::kI32, 0);
  for (const ScatterShape::Term& term : s.terms) {
    Expr at;
    if (term.axis >= 0) {
      at = b.index(static_cast<uint32_t>(term.axis));
    } else {
      std::vector<Expr> index;
      for (uint32_t a = 0; a < s.update_dims.size(); ++a) index.push_back(b.index(a));
      index.push_back(b.i32(term.column));
      at = wrap_index(b, b.load(indices, index), b.param(Scalar::kI32, term.extent));
    }
    sum = b.add(sum, b.mul(at, b.param(Scalar::kI32, term.stride)));
  }
  program.output(b.cast(sum, Scalar::kU32), DType::kU32, targets);
  QUERN_TRY(program.dispatch(ctx));
  return targets;
}

Result<Storage> zeros(LowerContext& ctx, int64_t words) {
  QUERN_ASSIGN(const Storage out, ctx.scratch(static_cast<uint64_t>(words) * 4));
  DeviceProgram program({words});
  ExprBuilder b = program.builder();
  program.output(b.constant_int(Scalar::kU32, 0), DType::kU32, out);
  QUERN_TRY(program.dispatch(ctx));
  return out;
}

KernelCall call_over(std::string_view kernel, int64_t count, const Target& target) {
  KernelCall call;
  call.kernel = kernel;
  call.config = config_of(Config{});
  call.params = {static_cast<uint32_t>(count)};
  call.workgroups =
      split_workgroups(static_cast<uint64_t>((count + kWorkgroup - 1) / kWorkgroup), target);
  return call;
}

KernelBinding words(std::string_view name, Storage s, int64_t count) {
  return {name, s, DType::kU32, static_cast<uint64_t>(count)};
}

Result<void> replace_on_device(LowerContext& ctx, const ScatterShape& s) {
  QUERN_ASSIGN(const Storage targets, device_targets(ctx, s));
  QUERN_ASSIGN(const Storage last, zeros(ctx, s.targets));
  KernelCall call = call_over("scatter_last", s.updates, ctx.target());
  call.bindings = {words("targets", targets, s.updates), words("last", last, s.targets)};
  QUERN_TRY(ctx.dispatch(std::move(call)));

  const DType type = moved_as(ctx.input(0).dtype);
  DeviceProgram program({s.targets, s.inner});
  const uint32_t data = program.input(type, {s.targets, s.inner}, ctx.in(0));
  const uint32_t updates = program.input(type, {s.updates, s.inner}, ctx.in(2));
  const uint32_t number = program.input(DType::kU32, {s.targets}, last);
  ExprBuilder b = program.builder();
  const Expr target[] = {b.index(0)};
  const Expr one_based = b.cast(b.load(number, target), Scalar::kI32);
  const Expr from[] = {b.max(b.sub(one_based, b.i32(1)), b.i32(0)), b.index(1)};
  const Expr at[] = {b.index(0), b.index(1)};
  const Expr kept = b.load(data, at);
  program.output(b.select(b.eq(one_based, b.i32(0)), kept, b.load(updates, from)), type,
                 ctx.out(0));
  return program.dispatch(ctx);
}

struct Combination {
  ExprOp reduce, binary;
};
Combination combination(ScatterReduction reduction, bool is_bool) {
  switch (reduction) {
    case ScatterReduction::kMul:
      if (is_bool) return {ExprOp::kReduceAll, ExprOp::kAnd};
      return {ExprOp::kReduceProd, ExprOp::kMul};
    case ScatterReduction::kMin:
      if (is_bool) return {ExprOp::kReduceAll, ExprOp::kAnd};
      return {ExprOp::kReduceMin, ExprOp::kMin};
    case ScatterReduction::kMax:
      if (is_bool) return {ExprOp::kReduceAny, ExprOp::kOr};
      return {ExprOp::kReduceMax, ExprOp::kMax};
    default:
      if (is_bool) return {ExprOp::kReduceAny, ExprOp::kOr};
      return {ExprOp::kReduceSum, ExprOp::kAdd};
  }
}

/// Updates are sorted by target; then each target reduces its run of them.
Result<void> combine_on_device(LowerContext& ctx, const ScatterShape& s) {
  QUERN_ASSIGN(const Storage targets, device_targets(ctx, s));
  QUERN_ASSIGN(const SortedRows sorted,
               sort_rows(ctx, targets, {1, s.updates, s.updates, false}, true));
  QUERN_ASSIGN(const Storage bounds, zeros(ctx, 2 * s.targets));
  KernelCall call = call_over("segment_bounds", s.updates, ctx.target());
  call.bindings = {words("keys", sorted.keys, s.updates), words("bounds", bounds, 2 * s.targets)};
  QUERN_TRY(ctx.dispatch(std::move(call)));

  const DType type = ctx.input(0).dtype;
  const Combination op = combination(s.reduction, type == DType::kBool);
  DeviceProgram program({s.targets, s.inner});
  const uint32_t data = program.input(type, {s.targets, s.inner}, ctx.in(0));
  const uint32_t updates = program.input(type, {s.updates, s.inner}, ctx.in(2));
  const uint32_t bound = program.input(DType::kU32, {s.targets, 2}, bounds);
  const uint32_t order = program.input(DType::kU32, {s.updates}, sorted.numbers);
  ExprBuilder b = program.builder();
  const Expr begin_at[] = {b.index(0), b.i32(0)};
  const Expr end_at[] = {b.index(0), b.i32(1)};
  const Expr begin = b.cast(b.load(bound, begin_at), Scalar::kI32);
  const Expr end = b.cast(b.load(bound, end_at), Scalar::kI32);
  const Expr loop = b.loop();
  const Expr place[] = {b.add(begin, loop)};
  const Expr from[] = {b.cast(b.load(order, place), Scalar::kI32), b.index(1)};
  const Expr at[] = {b.index(0), b.index(1)};
  const Expr run = b.reduce(op.reduce, loop, b.sub(end, begin), b.load(updates, from));
  program.output(b.binary(op.binary, b.load(data, at), run), type, ctx.out(0));
  return program.dispatch(ctx);
}

/// `a` combined with `b`, elements of one tensor type.
int64_t combined(ScatterReduction reduction, int64_t a, int64_t b, bool is_unsigned) {
  const auto x = static_cast<uint64_t>(a);
  const auto y = static_cast<uint64_t>(b);
  const bool below = is_unsigned ? x < y : a < b;
  switch (reduction) {
    case ScatterReduction::kAdd:
      return static_cast<int64_t>(x + y);
    case ScatterReduction::kMul:
      return static_cast<int64_t>(x * y);
    case ScatterReduction::kMax:
      return below ? b : a;
    case ScatterReduction::kMin:
      return below ? a : b;
    case ScatterReduction::kNone:
      break;
  }
  return b;
}
double combined(ScatterReduction reduction, double a, double b) {
  switch (reduction) {
    case ScatterReduction::kAdd:
      return a + b;
    case ScatterReduction::kMul:
      return a * b;
    case ScatterReduction::kMax:
      return std::isnan(a) || a > b ? a : b;
    case ScatterReduction::kMin:
      return std::isnan(a) || a < b ? a : b;
    case ScatterReduction::kNone:
      break;
  }
  return b;
}

void combine_on_host(HostTensor& out, int64_t to, const HostTensor& updates, int64_t from,
                     ScatterReduction reduction) {
  if (is_float(out.dtype)) {
    out.set_float(to, combined(reduction, out.float_at(to), updates.float_at(from)));
  } else if (out.dtype == DType::kBool) {
    const bool any = reduction == ScatterReduction::kAdd || reduction == ScatterReduction::kMax;
    const bool a = out.int_at(to) != 0;
    const bool b = updates.int_at(from) != 0;
    out.set_int(to, any ? a || b : a && b);
  } else {
    out.set_int(
        to, combined(reduction, out.int_at(to), updates.int_at(from), is_unsigned_int(out.dtype)));
  }
}

/// Elements [from, from + count) of `updates` to `to` of `out`, of any type.
void move_on_host(HostTensor& out, int64_t to, const HostTensor& updates, int64_t from,
                  int64_t count) {
  if (out.dtype == DType::kString) {
    for (int64_t i = 0; i < count; ++i) {
      out.strings[static_cast<size_t>(to + i)] = updates.strings[static_cast<size_t>(from + i)];
    }
    return;
  }
  const int bits = bit_width(out.dtype);
  if (bits < 8) {
    for (int64_t i = 0; i < count; ++i) {
      store_bits(out.dtype, out.bytes.data(), to + i,
                 load_bits(out.dtype, updates.bytes.data(), from + i));
    }
    return;
  }
  const int64_t width = bits / 8;
  if (count > 0) {
    std::memcpy(out.bytes.data() + to * width, updates.bytes.data() + from * width,
                static_cast<size_t>(count * width));
  }
}

/// The contents of shape arithmetic.
Result<void> infer_contents(InferContext& c, ScatterShapeOf shape_of) {
  QUERN_ASSIGN(const ScatterReduction reduction, scatter_reduction(c.node()));
  const auto data = c.contents(0);
  const auto indices = c.numbers(1);
  const auto updates = c.contents(2);
  if (!data || !indices || !updates || reduction != ScatterReduction::kNone) return {};
  const auto data_dims = constant_dims(*c.shape(0));
  const auto index_dims = constant_dims(*c.shape(1));
  const auto update_dims = constant_dims(*c.shape(2));
  if (!data_dims || !index_dims || !update_dims) return {};
  QUERN_ASSIGN(const ScatterShape s, shape_of(c.node(), *data_dims, *index_dims, *update_dims));
  if (s.targets == 0 || s.updates * s.inner != std::ssize(*updates)) return {};
  const std::vector<int64_t> targets =
      host_targets(s, HostTensor::of_ints(DType::kI64, *index_dims, *indices));
  std::vector<Dim> out = *data;
  for (size_t u = 0; u < targets.size(); ++u) {
    for (int64_t i = 0; i < s.inner; ++i) {
      const auto to = static_cast<size_t>(targets[u] * s.inner + i);
      if (to < out.size())
        out[to] = (*updates)[u * static_cast<size_t>(s.inner) + static_cast<size_t>(i)];
    }
  }
  c.set_contents(0, std::move(out));
  return {};
}

}  // namespace

Result<ScatterReduction> scatter_reduction(const Node& node) {
  const std::string_view name = node.string_or("reduction", "none");
  if (name == "none") return ScatterReduction::kNone;
  if (name == "add") return ScatterReduction::kAdd;
  if (name == "mul") return ScatterReduction::kMul;
  if (name == "max") return ScatterReduction::kMax;
  if (name == "min") return ScatterReduction::kMin;
  return invalid_model(
      cat(node.describe(), ": reduction is '", name, "', expected none, add, mul, max or min"));
}

Result<ScatterShape> scatter_elements_shape(const Node& node, const Dims& data, const Dims& indices,
                                            const Dims& updates) {
  const size_t rank = data.size();
  QUERN_ASSIGN(const size_t axis, resolve_axis(node, node.int_or("axis", 0), rank));
  const auto wrong = [&] {
    return invalid_model(cat(node.describe(), ": data ", data, ", indices ", indices,
                             " and updates ", updates, " do not fit together"));
  };
  if (indices.size() != rank || updates != indices) return wrong();
  ScatterShape s;
  QUERN_ASSIGN(s.reduction, scatter_reduction(node));
  QUERN_ASSIGN(s.updates, element_count(indices));
  QUERN_ASSIGN(s.targets, element_count(data));
  s.update_dims = indices;
  s.columns = 1;
  int64_t stride = 1;
  for (size_t a = rank; a-- > 0;) {
    if (a != axis && indices[a] > data[a]) return wrong();
    ScatterShape::Term term{.extent = data[a], .stride = stride};
    (a == axis ? term.column : term.axis) = a == axis ? 0 : static_cast<int32_t>(a);
    s.terms.push_back(term);
    stride *= data[a];
  }
  return s;
}

Result<ScatterShape> scatter_nd_shape(const Node& node, const Dims& data, const Dims& indices,
                                      const Dims& updates) {
  const auto wrong = [&] {
    return invalid_model(cat(node.describe(), ": data ", data, ", indices ", indices,
                             " and updates ", updates, " do not fit together"));
  };
  if (indices.empty() || indices.back() < 0 || indices.back() > std::ssize(data)) return wrong();
  const int64_t depth = indices.back();
  ScatterShape s;
  QUERN_ASSIGN(s.reduction, scatter_reduction(node));
  s.update_dims.assign(indices.begin(), indices.end() - 1);
  s.columns = depth;
  QUERN_ASSIGN(s.updates, element_count(s.update_dims));
  QUERN_ASSIGN(s.targets, element_count(Dims(data.begin(), data.begin() + depth)));
  const Dims slice(data.begin() + depth, data.end());
  QUERN_ASSIGN(s.inner, element_count(slice));
  Dims expected = s.update_dims;
  expected.insert(expected.end(), slice.begin(), slice.end());
  if (updates != expected) return wrong();
  int64_t stride = 1;
  for (int64_t k = depth; k-- > 0;) {
    const int64_t extent = data[static_cast<size_t>(k)];
    s.terms.push_back({extent, stride, -1, static_cast<int32_t>(k)});
    stride *= extent;
  }
  return s;
}

Result<void> infer_scatter(InferContext& c, ScatterShapeOf shape_of) {
  c.set(0, c.type(0));
  QUERN_TRY(expect_same_type(c, 0, 2));
  QUERN_TRY(scatter_reduction(c.node()));
  if (c.shape(0) == nullptr || c.shape(1) == nullptr || c.shape(2) == nullptr) return {};
  return infer_contents(c, shape_of);
}

Result<void> lower_scatter(LowerContext& ctx, ScatterShapeOf shape_of) {
  QUERN_ASSIGN(const ScatterShape s,
               shape_of(ctx.node(), ctx.input(0).dims, ctx.input(1).dims, ctx.input(2).dims));
  if (ctx.output(0).count() == 0) return {};
  if (std::max({ctx.output(0).count(), s.targets * 2, s.updates * s.inner}) > INT32_MAX) {
    return limit_exceeded(cat(ctx.node().describe(), ": more elements than a kernel can number"));
  }
  if (s.updates == 0) {
    const DType type = moved_as(ctx.input(0).dtype);
    DeviceProgram program({ctx.output(0).count()});
    const uint32_t data = program.input(type, {ctx.output(0).count()}, ctx.in(0));
    ExprBuilder b = program.builder();
    const Expr at[] = {b.index(0)};
    program.output(b.load(data, at), type, ctx.out(0));
    return program.dispatch(ctx);
  }
  return s.reduction == ScatterReduction::kNone ? replace_on_device(ctx, s)
                                                : combine_on_device(ctx, s);
}

Result<void> eval_scatter(EvalContext& c, ScatterShapeOf shape_of) {
  QUERN_ASSIGN(const ScatterShape s,
               shape_of(c.node(), c.input(0).dims, c.input(1).dims, c.input(2).dims));
  HostTensor& out = c.out(0);
  out.bytes = c.in(0).bytes;
  out.strings = c.in(0).strings;
  if (out.count() == 0) return {};
  const bool combines = s.reduction != ScatterReduction::kNone;
  if (combines &&
      (out.dtype == DType::kString || bit_width(out.dtype) > 64 || out.dtype == DType::kC64)) {
    return c.error(cat("reduction of ", name_of(out.dtype)));
  }
  const std::vector<int64_t> targets = host_targets(s, c.in(1));
  for (int64_t u = 0; u < s.updates; ++u) {
    const int64_t to = targets[static_cast<size_t>(u)] * s.inner;
    if (!combines) {
      move_on_host(out, to, c.in(2), u * s.inner, s.inner);
      continue;
    }
    for (int64_t i = 0; i < s.inner; ++i) {
      combine_on_host(out, to + i, c.in(2), u * s.inner + i, s.reduction);
    }
  }
  return {};
}

}  // namespace quern
