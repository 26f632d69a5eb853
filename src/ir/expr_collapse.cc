// collapse_axes: fewer and longer axes. Two rewrites, each by building the program anew:
// 1. axes, input dims and loops whose extent is baked as 1 go away;
// 2. neighbouring axes merge where every load uses them side by side, as do nested reductions of
//    one kind over neighbouring dims.
// What is done depends on structure and baked numbers only, so all bindings share one kernel.
#include <algorithm>
#include <map>

#include "ir/expr.h"
#include "ir/expr_copy.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

constexpr int32_t kDropped = -1;

bool same_extent(const Extent& a, const Extent& b) {
  return a.param == b.param && (!a.baked() || a.value == b.value);
}
bool is_one(const Extent& e) { return e.baked() && e.value == 1; }

// What becomes of axes, loops and dims. An axis or loop maps to -1 where it is gone: into the one
// before it, or because its index is always 0.
struct Rewrite {
  std::vector<Extent> domain;                   // the new one
  std::vector<int32_t> axes;                    // old axis -> new axis
  std::vector<std::vector<Extent>> input_dims;  // the new ones
  std::vector<std::vector<bool>> keep_index;    // per input and old dim: its index stays
  std::vector<bool> drop_loop;                  // per loop variable
  std::map<uint32_t, Extent> loop_extents;      // loops with another extent than before

  explicit Rewrite(const ExprProgram& program)
      : axes(program.domain.size()), drop_loop(program.loops) {
    for (const ExprInput& input : program.inputs) {
      input_dims.emplace_back();
      keep_index.emplace_back(input.dims.size(), true);
    }
  }
};

ExprProgram rebuild(const ExprProgram& from, const Rewrite& rewrite) {
  ExprProgram to;
  to.domain = rewrite.domain;
  to.inputs = from.inputs;
  to.params = from.params;
  for (size_t i = 0; i < to.inputs.size(); ++i) to.inputs[i].dims = rewrite.input_dims[i];
  ExprBuilder b(to);
  ExprCopy copy(from, b);
  const std::vector<bool> live = live_nodes(from);
  for (size_t id = 0; id < from.nodes.size(); ++id) {
    if (!live[id]) continue;
    const ExprNode& node = from.nodes[id];
    const bool is_loop = node.op == ExprOp::kLoop || is_reduction(node.op);
    if (node.op == ExprOp::kIndex) {
      const int32_t axis = rewrite.axes[node.slot];
      copy.mapped[id] = axis == kDropped ? b.i32(0) : b.index(static_cast<uint32_t>(axis));
    } else if (is_loop && rewrite.drop_loop[node.slot]) {
      const bool is_zero = node.op == ExprOp::kLoop || is_arg_reduction(node.op);
      copy.mapped[id] = is_zero ? b.i32(0) : copy.mapped[node.args[1].id];
    } else if (node.op == ExprOp::kLoad) {
      std::vector<Expr> index;
      for (size_t k = 0; k < node.args.size(); ++k) {
        if (rewrite.keep_index[node.slot][k]) index.push_back(copy.mapped[node.args[k].id]);
      }
      copy.mapped[id] = b.load(node.slot, index);
    } else if (is_reduction(node.op) && rewrite.loop_extents.contains(node.slot)) {
      const Expr extent = b.extent(rewrite.loop_extents.at(node.slot));
      copy.mapped[id] =
          b.reduce(node.op, copy.loop(node.slot), extent, copy.mapped[node.args[1].id]);
    } else {
      copy.node(id);
    }
  }
  for (const ExprOutput& output : from.outputs) {
    to.outputs.push_back({copy.mapped[output.value.id], output.dtype});
  }
  return to;
}

// Step 1.
ExprProgram without_ones(const ExprProgram& program) {
  Rewrite rewrite(program);
  for (size_t a = 0; a < program.domain.size(); ++a) {
    const bool drop = is_one(program.domain[a]);
    rewrite.axes[a] = drop ? kDropped : static_cast<int32_t>(rewrite.domain.size());
    if (!drop) rewrite.domain.push_back(program.domain[a]);
  }
  const std::vector<bool> live = live_nodes(program);
  // A loop goes where each reduction over it has the constant extent 1.
  std::vector<bool> longer(program.loops);
  for (size_t id = 0; id < live.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (!live[id] || !is_reduction(node.op)) continue;
    const ExprNode& extent = program.at(node.args[0]);
    const bool one = extent.op == ExprOp::kConst && extent.bits == 1;
    rewrite.drop_loop[node.slot] = one && !longer[node.slot];
    longer[node.slot] = longer[node.slot] || !one;
  }
  const auto always_zero = [&](Expr e) {
    const ExprNode& node = program.at(e);
    return (node.op == ExprOp::kConst && node.bits == 0) ||
           (node.op == ExprOp::kIndex && rewrite.axes[node.slot] == kDropped) ||
           (node.op == ExprOp::kLoop && rewrite.drop_loop[node.slot]);
  };
  // A dim goes where every load has index 0 there (by flat index: always).
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const std::vector<Extent>& dims = program.inputs[i].dims;
    for (size_t k = 0; k < dims.size(); ++k) rewrite.keep_index[i][k] = !is_one(dims[k]);
  }
  for (size_t id = 0; id < live.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (!live[id] || node.op != ExprOp::kLoad) continue;
    for (size_t k = 0; k < node.args.size(); ++k) {
      if (!always_zero(node.args[k])) rewrite.keep_index[node.slot][k] = true;
    }
  }
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const std::vector<Extent>& dims = program.inputs[i].dims;
    for (size_t k = 0; k < dims.size(); ++k) {
      if (rewrite.keep_index[i][k]) rewrite.input_dims[i].push_back(dims[k]);
    }
  }
  return rebuild(program, rewrite);
}

// Step 2. A variable is a domain axis, or past those a loop. `joins[v]` says that v may merge with
// next_[v], its inner neighbour; candidates are struck out until nothing contradicts.
class Merger {
 public:
  explicit Merger(const ExprProgram& program)
      : program_(program),
        rank_(program.domain.size()),
        live_(live_nodes(program)),
        extents_(rank_ + program.loops),
        next_(extents_.size(), kNone),
        joins_(extents_.size()) {
    for (size_t a = 0; a < rank_; ++a) {
      extents_[a] = program.domain[a];
      if (a + 1 < rank_) next_[a] = a + 1;
    }
    find_loop_neighbours();
    for (size_t v = 0; v < joins_.size(); ++v) joins_[v] = next_[v] != kNone;
    for (const ExprInput& input : program.inputs) {
      dim_joins_.emplace_back(input.dims.size(), true);
      if (!input.dims.empty()) dim_joins_.back().back() = false;
    }
    strike_other_uses();
    while (strike_loads()) {
    }
  }

  ExprProgram merged() {
    Rewrite rewrite(program_);
    params_ = program_.params;
    std::vector<bool> into_previous(extents_.size());
    for (size_t v = 0; v < joins_.size(); ++v) {
      if (joins_[v]) into_previous[next_[v]] = true;
    }
    for (size_t v = 0; v < extents_.size(); ++v) {
      if (into_previous[v]) {
        if (v < rank_)
          rewrite.axes[v] = kDropped;
        else
          rewrite.drop_loop[v - rank_] = true;
        continue;
      }
      std::vector<Extent> factors = {extents_[v]};
      for (size_t w = v; joins_[w]; w = next_[w]) factors.push_back(extents_[next_[w]]);
      if (v < rank_) {
        rewrite.axes[v] = static_cast<int32_t>(rewrite.domain.size());
        rewrite.domain.push_back(product(factors));
      } else if (factors.size() > 1) {
        rewrite.loop_extents[static_cast<uint32_t>(v - rank_)] = product(factors);
      }
    }
    for (size_t i = 0; i < program_.inputs.size(); ++i) {
      const std::vector<Extent>& dims = program_.inputs[i].dims;
      for (size_t k = 0; k < dims.size();) {
        std::vector<Extent> factors = {dims[k]};
        while (dim_joins_[i][k]) {
          factors.push_back(dims[++k]);
          rewrite.keep_index[i][k] = false;
        }
        ++k;
        rewrite.input_dims[i].push_back(product(factors));
      }
    }
    ExprProgram with_params = program_;
    with_params.params = params_;
    return rebuild(with_params, rewrite);
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  // The variable that a node is, or kNone.
  [[nodiscard]] size_t variable(Expr e) const {
    const ExprNode& node = program_.at(e);
    if (node.op == ExprOp::kIndex) return node.slot;
    return node.op == ExprOp::kLoop ? rank_ + node.slot : kNone;
  }

  // Loop v is next to w where a reduction over v has as its whole body one of the same kind over
  // w, used nowhere else, and both extents are plain dims.
  void find_loop_neighbours() {
    std::vector<int> uses(program_.nodes.size());
    std::vector<int> reductions(program_.loops);
    for (size_t id = 0; id < live_.size(); ++id) {
      if (!live_[id]) continue;
      for (Expr arg : program_.nodes[id].args) ++uses[arg.id];
      if (is_reduction(program_.nodes[id].op)) ++reductions[program_.nodes[id].slot];
    }
    for (const ExprOutput& output : program_.outputs) ++uses[output.value.id];
    const auto plain_extent = [&](Expr e, Extent* extent) {
      const ExprNode& node = program_.at(e);
      if (node.op == ExprOp::kConst) *extent = {node.bits, -1};
      if (node.op == ExprOp::kParam) {
        *extent = {program_.params[node.slot], static_cast<int32_t>(node.slot)};
      }
      return node.op == ExprOp::kConst || node.op == ExprOp::kParam;
    };
    for (size_t id = 0; id < live_.size(); ++id) {
      const ExprNode& outer = program_.nodes[id];
      if (!live_[id] || !is_reduction(outer.op) || is_arg_reduction(outer.op)) continue;
      const ExprNode& inner = program_.at(outer.args[1]);
      if (inner.op != outer.op || uses[outer.args[1].id] != 1) continue;
      if (reductions[outer.slot] != 1 || reductions[inner.slot] != 1) continue;
      if (plain_extent(outer.args[0], &extents_[rank_ + outer.slot]) &&
          plain_extent(inner.args[0], &extents_[rank_ + inner.slot])) {
        next_[rank_ + outer.slot] = rank_ + inner.slot;
      }
    }
  }

  void strike(size_t v) {
    joins_[v] = false;
    for (size_t w = 0; w < next_.size(); ++w) {
      if (next_[w] == v) joins_[w] = false;
    }
  }

  // Variables used outside load indices keep their own axis.
  void strike_other_uses() {
    for (const ExprOutput& output : program_.outputs) {
      if (const size_t v = variable(output.value); v != kNone) strike(v);
    }
    for (size_t id = 0; id < live_.size(); ++id) {
      const ExprNode& node = program_.nodes[id];
      if (!live_[id] || node.op == ExprOp::kLoad) continue;
      for (Expr arg : node.args) {
        if (const size_t v = variable(arg); v != kNone) strike(v);
      }
    }
  }

  // One round over all loads; true if a candidate was struck out.
  bool strike_loads() {
    bool changed = false;
    const auto drop = [&](std::vector<bool>& flags, size_t i) {
      changed = changed || flags[i];
      flags[i] = false;
    };
    for (size_t id = 0; id < live_.size(); ++id) {
      const ExprNode& node = program_.nodes[id];
      if (!live_[id] || node.op != ExprOp::kLoad) continue;
      const std::vector<Extent>& dims = program_.inputs[node.slot].dims;
      std::vector<bool>& dim_joins = dim_joins_[node.slot];
      for (size_t k = 0; k < node.args.size(); ++k) {
        const size_t v = variable(node.args[k]);
        const size_t after = k + 1 < node.args.size() ? variable(node.args[k + 1]) : kNone;
        const size_t before = k > 0 ? variable(node.args[k - 1]) : kNone;
        const bool pair = v != kNone && joins_[v] && after == next_[v] && dim_joins[k] &&
                          same_extent(dims[k], extents_[v]) &&
                          same_extent(dims[k + 1], extents_[after]);
        if (v != kNone && joins_[v] && !pair) drop(joins_, v);
        // The outer neighbour must stand right before it.
        for (size_t w = 0; v != kNone && w < next_.size(); ++w) {
          if (next_[w] == v && joins_[w] && before != w) drop(joins_, w);
        }
        if (!pair && dim_joins[k] && !both_zero(node, k)) drop(dim_joins, k);
      }
    }
    return changed;
  }

  [[nodiscard]] bool both_zero(const ExprNode& load, size_t k) const {
    const auto zero = [&](Expr e) {
      return program_.at(e).op == ExprOp::kConst && program_.at(e).bits == 0;
    };
    return k + 1 < load.args.size() && zero(load.args[k]) && zero(load.args[k + 1]);
  }

  // The extent of merged dims; equal factors give the same parameter.
  Extent product(const std::vector<Extent>& factors) {
    if (factors.size() == 1) return factors[0];
    Extent result{1, -1};
    std::vector<std::pair<int32_t, int64_t>> key;
    bool baked = true;
    for (const Extent& e : factors) {
      if (__builtin_mul_overflow(result.value, e.value, &result.value)) {
        result.value = INT64_MAX;  // the verifier refuses it
      }
      baked = baked && e.baked();
      key.emplace_back(e.param, e.baked() ? e.value : 0);
    }
    if (baked) return result;
    const auto [it, is_new] = products_.try_emplace(key, static_cast<int32_t>(params_.size()));
    if (is_new) params_.push_back(result.value);
    result.param = it->second;
    return result;
  }

  const ExprProgram& program_;
  size_t rank_;
  std::vector<bool> live_;
  std::vector<Extent> extents_;               // per variable; of loops where needed
  std::vector<size_t> next_;                  // per variable
  std::vector<bool> joins_;                   // per variable
  std::vector<std::vector<bool>> dim_joins_;  // per input and dim: merges with the next dim
  std::vector<int64_t> params_;
  std::map<std::vector<std::pair<int32_t, int64_t>>, int32_t> products_;
};

}  // namespace

void collapse_axes(ExprProgram& program) {
  const ExprProgram trimmed = without_ones(program);
  program = Merger(trimmed).merged();
  remove_dead_nodes(program);
}

}  // namespace quern
