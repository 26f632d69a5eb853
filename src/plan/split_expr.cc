#include "plan/split_expr.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>

#include "ir/expr_copy.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

// The flat domain is halved at most so often to find parts that need one window a tensor.
constexpr int kHalvings = 6;
constexpr int64_t kUnbounded = int64_t{1} << 40;  // past every i32; products of two fit

/// The values that an integer expression can have; both ends are possible.
struct Interval {
  int64_t low = -kUnbounded;
  int64_t high = kUnbounded;
  [[nodiscard]] bool is_known() const { return low > -kUnbounded && high < kUnbounded; }
};

Interval clamped(int64_t low, int64_t high) {
  if (low <= -kUnbounded || high >= kUnbounded) return {};
  return {low, high};
}

int64_t floor_mod(int64_t a, int64_t b) {
  const int64_t rest = a % b;
  return rest < 0 ? rest + b : rest;
}

int64_t product_of(const std::vector<Extent>& dims, size_t first = 0) {
  int64_t n = 1;
  for (size_t a = first; a < dims.size(); ++a) n *= dims[a].value;
  return n;
}

/// Interval arithmetic over the nodes of a program, with the numbers of the binding.
class Bounds {
 public:
  /// Over the elements first <= flat index <= last of the domain.
  Bounds(const ExprProgram& program, int64_t first, int64_t last)
      : program_(program), values_(program.nodes.size()), loops_(program.loops) {
    axes_.resize(program.domain.size());
    int64_t stride = 1;
    for (size_t a = program.domain.size(); a-- > 0;) {
      const int64_t n = program.domain[a].value;
      const int64_t low = first / stride;
      const int64_t high = last / stride;
      axes_[a] = low / n == high / n ? Interval{low % n, high % n} : Interval{0, n - 1};
      stride *= n;
    }
    // The extents of loops come after their variables: they are there in the second round.
    for (int round = 0; round < 2; ++round) {
      for (size_t id = 0; id < values_.size(); ++id) {
        const ExprNode& node = program.nodes[id];
        values_[id] = unwrapped(node.type, value_of(node));
      }
    }
  }

  [[nodiscard]] Interval at(Expr e) const { return values_[e.id]; }

  /// The flat indices that a load can touch; an index always lies inside where its value counts.
  [[nodiscard]] Interval touched(const ExprNode& load) const {
    const std::vector<Extent>& dims = program_.inputs[load.slot].dims;
    const auto inside = [](Interval v, int64_t n) {
      return Interval{std::clamp<int64_t>(v.low, 0, n - 1), std::clamp<int64_t>(v.high, 0, n - 1)};
    };
    if (load.op == ExprOp::kLoadFlat) return inside(at(load.args[0]), product_of(dims));
    Interval sum{0, 0};
    int64_t stride = 1;
    for (size_t a = dims.size(); a-- > 0;) {
      const Interval index = inside(at(load.args[a]), dims[a].value);
      sum.low += index.low * stride;
      sum.high += index.high * stride;
      stride *= dims[a].value;
    }
    return sum;
  }

 private:
  Interval value_of(const ExprNode& node) {
    if (!is_integer(node.type)) return {};
    const auto arg = [&](size_t i) { return values_[node.args[i].id]; };
    switch (node.op) {
      case ExprOp::kConst:
        return clamped(node.bits, node.bits);
      case ExprOp::kParam:
        return clamped(program_.params[node.slot], program_.params[node.slot]);
      case ExprOp::kIndex:
        return axes_[node.slot];
      case ExprOp::kLoop:
        return loops_[node.slot];
      case ExprOp::kCast:
        return is_integer(program_.at(node.args[0]).type) ? arg(0) : Interval{};
      case ExprOp::kSelect:
        return hull(arg(1), arg(2));
      default:
        break;
    }
    if (is_reduction(node.op)) {
      const Interval extent = arg(0);
      if (extent.is_known()) loops_[node.slot] = {0, std::max<int64_t>(extent.high - 1, 0)};
      return is_arg_reduction(node.op) ? loops_[node.slot] : Interval{};
    }
    if (node.op == ExprOp::kNeg && arg(0).is_known()) return {-arg(0).high, -arg(0).low};
    return is_binary(node.op) ? binary(node.op, arg(0), arg(1)) : Interval{};
  }

  /// Nothing is known of what wraps.
  static Interval unwrapped(Scalar type, Interval v) {
    if (type == Scalar::kI32 && (v.low < INT32_MIN || v.high > INT32_MAX)) {
      return {INT32_MIN, INT32_MAX};
    }
    if (is_unsigned(type) && v.low < 0) return {};
    return v;
  }

  static Interval hull(Interval a, Interval b) {
    return {std::min(a.low, b.low), std::max(a.high, b.high)};
  }

  static Interval binary(ExprOp op, Interval a, Interval b) {
    // These bound their result by one side alone.
    if (op == ExprOp::kMin) return {std::min(a.low, b.low), std::min(a.high, b.high)};
    if (op == ExprOp::kMax) return {std::max(a.low, b.low), std::max(a.high, b.high)};
    if (op == ExprOp::kMod && b.is_known() && b.low > 0) {
      const bool one = b.low == b.high && a.is_known() &&
                       a.low - floor_mod(a.low, b.low) == a.high - floor_mod(a.high, b.low);
      if (one) return {floor_mod(a.low, b.low), floor_mod(a.high, b.low)};
      return {0, b.high - 1};
    }
    if (op == ExprOp::kRem && b.is_known() && b.low > 0 && a.low >= 0) {
      if (b.low == b.high && a.is_known() && a.low / b.low == a.high / b.low) {
        return {a.low % b.low, a.high % b.low};
      }
      return {0, std::min(a.high, b.high - 1)};
    }
    if (!a.is_known() || !b.is_known()) return {};
    const auto corners = [&](auto f) {
      const int64_t all[] = {f(a.low, b.low), f(a.low, b.high), f(a.high, b.low),
                             f(a.high, b.high)};
      const auto [low, high] = std::ranges::minmax(all);
      return clamped(low, high);
    };
    switch (op) {
      case ExprOp::kAdd:
        return clamped(a.low + b.low, a.high + b.high);
      case ExprOp::kSub:
        return clamped(a.low - b.high, a.high - b.low);
      case ExprOp::kMul: {
        int64_t most = 0;
        const int64_t large_a = std::max(std::abs(a.low), std::abs(a.high));
        const int64_t large_b = std::max(std::abs(b.low), std::abs(b.high));
        if (__builtin_mul_overflow(large_a, large_b, &most)) return {};
        return corners([](int64_t x, int64_t y) { return x * y; });
      }
      case ExprOp::kDiv:
        if (b.low <= 0) return {};
        return corners([](int64_t x, int64_t y) { return x / y; });
      default:
        return {};
    }
  }

  const ExprProgram& program_;
  std::vector<Interval> values_;
  std::vector<Interval> loops_;
  std::vector<Interval> axes_;
};

/// Bytes of `count` elements, and the elements of whole blocks of `kBindingAlignment` bytes.
uint64_t bytes_of(DType dtype, int64_t count) {
  return byte_size(dtype, static_cast<uint64_t>(count));
}
int64_t block_of(DType dtype) {
  const auto bits = static_cast<int64_t>(bit_width(dtype));
  return std::lcm(int64_t{kBindingAlignment} * 8, bits) / bits;
}

class Splitter {
 public:
  Splitter(const ExprProgram& program, std::span<const uint32_t> storages, const Target& target)
      : program_(program), target_(target), live_(live_nodes(program)) {
    std::map<uint32_t, size_t> groups;
    for (size_t i = 0; i < program.inputs.size(); ++i) {
      const auto [it, is_new] = groups.try_emplace(storages[i], groups_.size());
      group_of_.push_back(it->second);
      const int64_t count = product_of(program.inputs[i].dims);
      if (is_new) {
        const DType dtype = program.inputs[i].dtype;
        groups_.push_back({static_cast<uint32_t>(i), dtype, count, elements_at_once(dtype)});
      }
      Group& group = groups_[it->second];
      group.count = std::max(group.count, count);
      group.is_large = bytes_of(group.dtype, group.count) > target.max_binding_bytes;
    }
  }

  Result<std::vector<ExprPart>> split() {
    const int64_t n = program_.domain_count();
    for (const Group& group : groups_) {
      if (group.is_large && group.count > INT32_MAX) return too_many(group.count);
    }
    if (n > INT32_MAX) return too_many(n);
    int64_t block = 1;
    int64_t most = n;
    for (const ExprOutput& output : program_.outputs) {
      block = std::lcm(block, block_of(output.dtype));
      if (bytes_of(output.dtype, n) > target_.max_binding_bytes) {
        most = std::min(most, elements_at_once(output.dtype));
      }
    }
    if (most < n) most = most / block * block;
    if (most == 0) return limit_exceeded("no part of its outputs can be bound");

    std::optional<Layout> best;
    int64_t part = most;
    for (int round = 0; round <= kHalvings; ++round) {
      Layout layout = layout_of(part, n);
      if (layout.bindings <= target_.max_storage_buffers) {
        if (!best || layout.windows < best->windows) best = std::move(layout);
        if (best->windows == groups_.size()) break;
      }
      const int64_t half = (part / 2 + block - 1) / block * block;
      if (half >= part || half == 0) break;
      part = half;
    }
    if (!best) {
      return limit_exceeded(cat("it would bind more than ", target_.max_storage_buffers,
                                " ranges of at most ", target_.max_binding_bytes, " bytes"));
    }
    std::vector<ExprPart> parts;
    for (const Piece& piece : best->pieces) parts.push_back(make(piece, best->pieces.size() == 1));
    return parts;
  }

 private:
  /// Inputs that are one range of memory.
  struct Group {
    uint32_t input = 0;  // one of them
    DType dtype = DType::kUndefined;
    int64_t count = 0;
    int64_t at_once = 0;  // elements that a window holds
    bool is_large = false;
  };
  /// Elements of a group that one binding has.
  struct Span {
    int64_t first = 0;
    int64_t count = 0;
  };
  struct Piece {
    int64_t first = 0;
    int64_t count = 0;
    std::vector<std::vector<Span>> spans;  // by group
  };
  struct Layout {
    std::vector<Piece> pieces;
    size_t bindings = 0;  // the most of a piece
    size_t windows = 0;   // of inputs, the most of a piece
  };

  static std::unexpected<Error> too_many(int64_t count) {
    return limit_exceeded(cat("kernels index ", INT32_MAX, " elements at most, not ", count));
  }

  [[nodiscard]] int64_t elements_at_once(DType dtype) const {
    const int64_t all = static_cast<int64_t>(target_.max_binding_bytes * 8) / bit_width(dtype);
    return all / block_of(dtype) * block_of(dtype);
  }

  Layout layout_of(int64_t part, int64_t n) const {
    Layout layout;
    for (int64_t first = 0; first < n; first += part) {
      Piece piece{first, std::min(part, n - first), {}};
      piece.spans.resize(groups_.size());
      const Bounds bounds(program_, first, first + piece.count - 1);
      std::vector<Interval> touched(groups_.size(), {kUnbounded, -1});
      for (size_t id = 0; id < program_.nodes.size(); ++id) {
        const ExprNode& node = program_.nodes[id];
        if (!live_[id] || !is_load(node.op)) continue;
        Interval& sum = touched[group_of_[node.slot]];
        const Interval one =
            is_flat(node) ? Interval{first, first + piece.count - 1} : bounds.touched(node);
        sum = {std::min(sum.low, one.low), std::max(sum.high, one.high)};
      }
      size_t windows = 0;
      for (size_t g = 0; g < groups_.size(); ++g) {
        piece.spans[g] = cover(groups_[g], touched[g]);
        windows += piece.spans[g].size();
      }
      layout.windows = std::max(layout.windows, windows);
      layout.bindings = std::max(layout.bindings, windows + program_.outputs.size());
      layout.pieces.push_back(std::move(piece));
    }
    return layout;
  }

  static std::vector<Span> cover(const Group& group, Interval touched) {
    if (!group.is_large) return {{0, group.count}};
    if (touched.high < 0) touched = {0, 0};  // never loaded, yet to be bound
    std::vector<Span> spans;
    const int64_t block = block_of(group.dtype);
    for (int64_t first = touched.low / block * block; first <= touched.high;) {
      const int64_t end = std::min(touched.high + 1, first + group.at_once);
      spans.push_back({first, end - first});
      if (group.at_once == 0 || spans.size() > 64) break;  // too many anyhow
      first = end;
    }
    return spans;
  }

  [[nodiscard]] ExprPart make(const Piece& piece, bool is_whole) const {
    ExprPart part;
    ExprProgram& to = part.program;
    to.params = program_.params;
    const auto param = [&](int64_t value) {
      to.params.push_back(value);
      return static_cast<int32_t>(to.params.size() - 1);
    };
    if (is_whole) {
      to.domain = program_.domain;
    } else {
      to.domain = {{piece.count, param(piece.count)}};
    }
    // Inputs of the part; those of a small tensor stay as they are.
    std::vector<std::vector<uint32_t>> slots(groups_.size());
    std::vector<uint32_t> slot_of(program_.inputs.size());
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      const Group& group = groups_[group_of_[i]];
      if (group.is_large && !slots[group_of_[i]].empty()) continue;
      slot_of[i] = static_cast<uint32_t>(to.inputs.size());
      for (const Span& span : piece.spans[group_of_[i]]) {
        slots[group_of_[i]].push_back(static_cast<uint32_t>(to.inputs.size()));
        ExprInput input = program_.inputs[i];
        const int64_t count = group.is_large ? span.count : product_of(input.dims);
        if (group.is_large) input.dims = {{count, param(count)}};
        to.inputs.push_back(std::move(input));
        part.inputs.push_back({static_cast<uint32_t>(i),
                               {bytes_of(group.dtype, span.first), bytes_of(group.dtype, count)}});
      }
    }
    ExprBuilder b(to);
    ExprCopy copy(program_, b);
    const Expr base = is_whole ? Expr{} : b.param(Scalar::kI32, piece.first);
    std::vector<Expr> axes;
    if (!is_whole) axes = axis_indices(b, b.add(b.index(0), base));
    std::vector<std::vector<Expr>> starts(groups_.size());
    for (size_t g = 0; g < groups_.size(); ++g) {
      if (!groups_[g].is_large) continue;
      for (const Span& span : piece.spans[g]) {
        starts[g].push_back(b.param(Scalar::kI32, span.first));
      }
    }
    for (size_t id = 0; id < program_.nodes.size(); ++id) {
      if (!live_[id]) continue;
      const ExprNode& node = program_.nodes[id];
      if (node.op == ExprOp::kIndex && !is_whole) {
        copy.mapped[id] = axes[node.slot];
        continue;
      }
      if (!is_load(node.op)) {
        copy.node(id);
        continue;
      }
      const size_t g = group_of_[node.slot];
      const std::vector<Expr> at = copy.arguments(node);
      if (!groups_[g].is_large) {
        copy.mapped[id] = node.op == ExprOp::kLoad ? b.load(slot_of[node.slot], at)
                                                   : b.load_flat(slot_of[node.slot], at[0]);
        continue;
      }
      const bool follows = !is_whole && slots[g].size() == 1 &&
                           piece.spans[g][0].first == piece.first && is_flat(node);
      copy.mapped[id] = follows ? b.load_flat(slots[g][0], b.index(0))
                                : load_window(b, slots[g], starts[g], flat_index(b, node, at));
    }
    for (const ExprOutput& output : program_.outputs) {
      to.outputs.push_back({copy.mapped[output.value.id], output.dtype});
      part.outputs.push_back(
          {bytes_of(output.dtype, piece.first), bytes_of(output.dtype, piece.count)});
    }
    remove_dead_nodes(to);
    return part;
  }

  /// The indices along the axes of the whole domain.
  [[nodiscard]] std::vector<Expr> axis_indices(ExprBuilder& b, Expr flat) const {
    std::vector<Expr> axes(program_.domain.size());
    Expr rest = flat;
    for (size_t a = axes.size(); a-- > 0;) {
      if (a == 0) {
        axes[a] = rest;
        break;
      }
      const Expr extent = b.extent(program_.domain[a]);
      axes[a] = b.binary(ExprOp::kRem, rest, extent);
      rest = b.div(rest, extent);
    }
    return axes;
  }

  /// Does the load read the element at the output's own flat index, in this binding?
  [[nodiscard]] bool is_flat(const ExprNode& load) const {
    const std::vector<Extent>& dims = program_.inputs[load.slot].dims;
    if (load.op != ExprOp::kLoad || dims.size() != program_.domain.size()) return false;
    for (size_t a = 0; a < dims.size(); ++a) {
      const ExprNode& index = program_.at(load.args[a]);
      if (index.op != ExprOp::kIndex || index.slot != a) return false;
      if (dims[a].value != program_.domain[a].value) return false;
    }
    return true;
  }

  [[nodiscard]] Expr flat_index(ExprBuilder& b, const ExprNode& load,
                                std::span<const Expr> at) const {
    if (load.op == ExprOp::kLoadFlat) return at[0];
    const std::vector<Extent>& dims = program_.inputs[load.slot].dims;
    Expr flat = b.i32(0);
    for (size_t a = 0; a < dims.size(); ++a) {
      const int64_t stride = product_of(dims, a + 1);
      const bool baked = std::all_of(dims.begin() + static_cast<std::ptrdiff_t>(a) + 1, dims.end(),
                                     [](const Extent& e) { return e.baked(); });
      flat = b.add(flat, b.mul(at[a], baked ? b.i32(stride) : b.param(Scalar::kI32, stride)));
    }
    return flat;
  }

  static Expr load_window(ExprBuilder& b, const std::vector<uint32_t>& slots,
                          const std::vector<Expr>& starts, Expr flat) {
    Expr value = b.load_flat(slots.back(), b.sub(flat, starts.back()));
    for (size_t w = slots.size() - 1; w-- > 0;) {
      value =
          b.select(b.lt(flat, starts[w + 1]), b.load_flat(slots[w], b.sub(flat, starts[w])), value);
    }
    return value;
  }

  const ExprProgram& program_;
  const Target& target_;
  std::vector<bool> live_;
  std::vector<Group> groups_;
  std::vector<size_t> group_of_;  // by input
};

}  // namespace

bool needs_split(const ExprProgram& program, const Target& target) {
  const auto large = [&](DType dtype, int64_t count) {
    return bytes_of(dtype, count) > target.max_binding_bytes;
  };
  return std::ranges::any_of(
             program.inputs,
             [&](const ExprInput& input) { return large(input.dtype, product_of(input.dims)); }) ||
         std::ranges::any_of(program.outputs, [&](const ExprOutput& output) {
           return large(output.dtype, program.domain_count());
         });
}

Result<std::vector<ExprPart>> split_expression(const ExprProgram& program,
                                               std::span<const uint32_t> storages,
                                               const Target& target) {
  return Splitter(program, storages, target).split();
}

}  // namespace quern
