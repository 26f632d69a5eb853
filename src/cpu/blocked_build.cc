#include <algorithm>
#include <map>
#include <optional>

#include "cpu/block_convert.h"
#include "cpu/block_reduce.h"
#include "cpu/blocked_plan.h"
#include "cpu/blocked_stages.h"
#include "ir/expr_eval.h"

namespace quern {
namespace {

// An i32 node as base + coefficients of domain axes and loop variables.
struct Affine {
  int64_t base = 0;
  std::vector<int64_t> axes;
  std::vector<int64_t> loops;
};

constexpr int64_t kMaxCoefficient = int64_t{1} << 40;  // sums of products stay in int64

// A guess where an extent is known only when it runs.
constexpr int64_t kTypicalExtent = 16;

class PlanBuilder {
 public:
  explicit PlanBuilder(const ExprProgram& program)
      : program_(program),
        stripped_(program),
        scratch_(program),
        facts_(scratch_),
        axes_(axes_of_nodes(program)),
        reductions_(nodes_with_reductions(program)),
        free_(free_loops(program)),
        affine_(program.nodes.size()),
        loads_(program.nodes.size()) {}

  BlockedPlan build() {
    for (const Extent& e : program_.domain) plan_.domain.push_back(e.value);
    plan_.strides.resize(plan_.domain.size());
    for (size_t a = plan_.domain.size(); a-- > 0;) {
      plan_.strides[a] = plan_.count;
      plan_.count *= plan_.domain[a];
    }
    plan_.loops = program_.loops;
    top_.lanes = std::min<int64_t>(plan_.count, kBlock);
    find_loop_bounds();
    for (size_t id = 0; id < program_.nodes.size(); ++id) {
      affine_[id] = affine_of(program_.nodes[id]);
      if (is_load(program_.nodes[id].op)) plan_load(id);
    }
    std::vector<Expr> roots;
    for (const ExprOutput& output : program_.outputs) roots.push_back(output.value);
    std::vector<uint32_t> each;
    for (uint32_t id : nodes_of_scope(stripped_, free_, roots, kNoLoop, 0)) {
      if (is_uniform(id))
        emit(top_, id, plan_.once);
      else
        each.push_back(id);
    }
    for (Expr root : roots) keep_[root.id] = true;
    plan_.cost = build_scope(top_, each, 0, plan_.each);
    for (const ExprOutput& output : program_.outputs) {
      plan_.outputs.push_back({find(top_, output.value.id), output.dtype});
    }
    for (const ExprOutput& output : program_.outputs) {
      if (bit_width(output.dtype) < 8) plan_.tile_axis = -1;  // two tiles could share a byte
    }
    place_registers();
    return std::move(plan_);
  }

 private:
  // A scope being built: where its values are, and the scope around it.
  struct Frame {
    Frame* parent = nullptr;
    Reduction* across = nullptr;  // set where lanes differ from the parent's
    uint32_t variable = kNoLoop;  // the lanes, where not the domain
    int64_t lanes = 0;            // in a full block
    std::map<uint32_t, Register> registers;
  };

  [[nodiscard]] const ExprNode& node(uint32_t id) const { return program_.nodes[id]; }
  [[nodiscard]] bool is_uniform(uint32_t id) const {
    return axes_[id] == 0 && free_[id] == 0 && !reductions_[id];
  }

  // ---- Indices ----

  void find_loop_bounds() {
    loop_bounds_.resize(program_.loops, 1);
    for (const ExprNode& n : program_.nodes) {
      if (!is_reduction(n.op)) continue;
      int64_t& bound = loop_bounds_[n.slot];
      bound = std::max(bound, facts_.range(n.args[0]).upper);
    }
  }

  std::optional<Affine> affine_of(const ExprNode& n) const {
    if (n.type != Scalar::kI32) return std::nullopt;
    Affine result{0, std::vector<int64_t>(program_.domain.size()),
                  std::vector<int64_t>(program_.loops)};
    const auto arg = [&](size_t k) -> const std::optional<Affine>& {
      return affine_[n.args[k].id];
    };
    const auto combine = [&](const Affine& a, int64_t factor) {
      bool small = true;
      const auto add = [&](int64_t& to, int64_t v) {
        int64_t product = 0;
        small = small && !__builtin_mul_overflow(v, factor, &product) &&
                !__builtin_add_overflow(to, product, &to) && std::abs(to) <= kMaxCoefficient;
      };
      add(result.base, a.base);
      for (size_t k = 0; k < a.axes.size(); ++k) add(result.axes[k], a.axes[k]);
      for (size_t k = 0; k < a.loops.size(); ++k) add(result.loops[k], a.loops[k]);
      return small;
    };
    bool ok = true;
    switch (n.op) {
      case ExprOp::kConst:
        result.base = n.bits;
        break;
      case ExprOp::kIndex:
        result.axes[n.slot] = 1;
        break;
      case ExprOp::kLoop:
        result.loops[n.slot] = 1;
        break;
      case ExprOp::kNeg:
        ok = arg(0) && combine(*arg(0), -1);
        break;
      case ExprOp::kAdd:
        ok = arg(0) && arg(1) && combine(*arg(0), 1) && combine(*arg(1), 1);
        break;
      case ExprOp::kSub:
        ok = arg(0) && arg(1) && combine(*arg(0), 1) && combine(*arg(1), -1);
        break;
      case ExprOp::kMul: {
        int64_t factor = 0;
        ok = arg(0) && facts_.is_constant(n.args[1], &factor) && combine(*arg(0), factor);
        break;
      }
      default:
        ok = false;
    }
    if (!ok) return std::nullopt;
    return result;
  }

  // Does the index always lie in [0, extent)?
  [[nodiscard]] bool in_range(const Affine& a, int64_t extent) const {
    __int128 lower = a.base;
    __int128 upper = a.base;
    const auto term = [&](int64_t c, int64_t bound) {
      const __int128 end = __int128{c} * std::max<int64_t>(bound - 1, 0);
      (c < 0 ? lower : upper) += end;
    };
    for (size_t k = 0; k < a.axes.size(); ++k) term(a.axes[k], plan_.domain[k]);
    for (size_t k = 0; k < a.loops.size(); ++k) term(a.loops[k], loop_bounds_[k]);
    return lower >= 0 && upper < extent;
  }

  void plan_load(size_t id) {
    const ExprNode& n = program_.nodes[id];
    const ExprInput& input = program_.inputs[n.slot];
    LoadPlan& plan = loads_[id];
    plan.input = n.slot;
    plan.dtype = input.dtype;
    plan.input_count = 1;
    plan.axes.resize(program_.domain.size());
    for (const Extent& e : input.dims) plan.input_count *= e.value;
    std::vector<int64_t> loops(program_.loops);
    std::vector<Expr> left;
    uint64_t axes = 0;  // of the indices that are not affine
    int64_t stride = plan.input_count;
    for (size_t k = 0; k < n.args.size(); ++k) {
      const int64_t extent = n.op == ExprOp::kLoad ? input.dims[k].value : plan.input_count;
      stride = extent == 0 ? 0 : stride / extent;
      const std::optional<Affine>& a = affine_[n.args[k].id];
      if (a && in_range(*a, extent)) {
        plan.base += a->base * stride;
        // A variable that is always 0 may have any coefficient.
        for (size_t d = 0; d < plan.axes.size(); ++d) {
          if (plan_.domain[d] > 1) plan.axes[d] += a->axes[d] * stride;
        }
        for (size_t v = 0; v < loops.size(); ++v) {
          if (loop_bounds_[v] > 1) loops[v] += a->loops[v] * stride;
        }
        continue;
      }
      const ExprBuilder::Range range = facts_.range(n.args[k]);
      plan.indices.push_back({0, extent, stride, range.lower >= 0 && range.upper < extent});
      plan_.may_fail = plan_.may_fail || !plan.indices.back().in_range;
      left.push_back(n.args[k]);
      axes |= axes_[n.args[k].id];
    }
    for (uint32_t v = 0; v < loops.size(); ++v) {
      if (loops[v] != 0) plan.loops.emplace_back(v, loops[v]);
    }
    const size_t rank = plan.axes.size();
    plan.fixed = std::all_of(plan.axes.begin(), plan.axes.end(), [](int64_t c) { return c == 0; });
    plan.contiguous = left.empty() && !plan.fixed && plan.axes == plan_.strides;
    plan.periodic =
        left.empty() && !plan.fixed && rank > 1 &&
        std::all_of(plan.axes.begin(), plan.axes.end() - 1, [](int64_t c) { return c == 0; });
    plan.row_indices =
        !left.empty() && rank > 0 && (axes >> (rank - 1) & 1) == 0 && plan_.domain[rank - 1] >= 8;
    stripped_.nodes[id].args = std::move(left);
  }

  // ---- Registers ----

  Register new_register(Scalar type) {
    widths_.push_back(static_cast<uint32_t>(register_width(type)));
    return static_cast<Register>(widths_.size() - 1);
  }
  Register take(Scalar type) {
    std::vector<Register>& pool = idle_[static_cast<uint32_t>(register_width(type))];
    if (pool.empty()) return new_register(type);
    const Register r = pool.back();
    pool.pop_back();
    return r;
  }
  void give_back(Register r) { idle_[widths_[r]].push_back(r); }

  void place_registers() {
    uint32_t offset = 0;
    for (uint32_t width : widths_) {
      plan_.register_offsets.push_back(offset);
      offset += width * kBlock + 64;  // not all at the same place of a cache's sets
    }
    plan_.workspace_bytes = offset;
  }

  // Where a value is, seen from `frame`; across lanes by an import.
  Register find(Frame& frame, uint32_t id) {
    if (const auto it = frame.registers.find(id); it != frame.registers.end()) return it->second;
    if (const auto it = top_.registers.find(id); it != top_.registers.end() && is_uniform(id)) {
      return it->second;
    }
    const Register outer = find(*frame.parent, id);
    if (frame.across == nullptr) return outer;
    const Register inner = new_register(node(id).type);  // never shared: it is filled beforehand
    frame.across->imports.push_back({node(id).type, outer, inner});
    return frame.registers[id] = inner;
  }

  // ---- Instructions ----

  // The nodes that the instruction of `id` reads, those inside reductions included.
  std::vector<uint32_t> reads(uint32_t id) const {
    std::vector<uint32_t> result;
    if (!is_reduction(node(id).op)) {
      for (Expr arg : stripped_.nodes[id].args) result.push_back(arg.id);
      return result;
    }
    std::vector<bool> reached(program_.nodes.size());
    for (Expr arg : stripped_.nodes[id].args) reached[arg.id] = true;
    for (uint32_t k = id; k-- > 0;) {
      if (!reached[k]) continue;
      result.push_back(k);
      for (Expr arg : stripped_.nodes[k].args) reached[arg.id] = true;
    }
    return result;
  }

  // Emits a list of nodes; the cost of one lane of it in nanoseconds.
  float build_scope(Frame& frame, const std::vector<uint32_t>& list, uint64_t enclosing,
                    Scope& scope) {
    std::map<uint32_t, size_t> last_read;
    for (size_t at = 0; at < list.size(); ++at) {
      for (uint32_t id : reads(list[at])) last_read[id] = at;
    }
    std::vector<std::vector<uint32_t>> done(list.size());  // values not needed after each place
    for (uint32_t id : list) {
      if (last_read.contains(id) && !keep_[id]) done[last_read[id]].push_back(id);
    }
    float cost = 0;
    for (size_t at = 0; at < list.size(); ++at) {
      const uint32_t id = list[at];
      cost += is_reduction(node(id).op) ? emit_reduction(frame, id, enclosing, scope)
                                        : emit(frame, id, scope);
      for (uint32_t old : done[at]) {
        give_back(frame.registers[old]);
        frame.registers.erase(old);
      }
    }
    return cost;
  }

  float emit(Frame& frame, uint32_t id, Scope& scope) {
    const ExprNode& n = node(id);
    Instruction in;
    in.type = n.type;
    in.detail = n.slot;
    float cost = 0.05F;
    if (n.op == ExprOp::kConst) {
      in.kind = Instruction::Kind::kConstant;
      in.value = n.bits;
    } else if (n.op == ExprOp::kIndex) {
      in.kind = Instruction::Kind::kIndex;
      plan_.needs_rows = plan_.needs_rows || plan_.domain.size() > 1;
    } else if (n.op == ExprOp::kLoop) {
      in.kind = Instruction::Kind::kLoop;
    } else if (is_load(n.op)) {
      LoadPlan plan = loads_[id];
      in.kind = Instruction::Kind::kLoad;
      in.detail = static_cast<uint32_t>(plan_.loads.size());
      for (size_t k = 0; k < plan.indices.size(); ++k) {
        plan.indices[k].value = find(frame, stripped_.nodes[id].args[k].id);
      }
      in.may_alias =
          is_register_type(plan.dtype) && (program_.outputs.size() == 1 || !is_output(id));
      if (frame.variable == kNoLoop) {
        const bool by_row = !plan.fixed && !plan.contiguous && !plan.periodic;
        plan_.needs_rows = plan_.needs_rows || by_row || plan.row_indices;
        find_tile_axis(plan);
      }
      cost = load_cost(id, frame.variable);
      plan_.loads.push_back(std::move(plan));
    } else {
      const Scalar arg_type = node(n.args.back().id).type;
      in.kernel = block_kernel(n.op, n.type, arg_type);
      for (size_t k = 0; k < n.args.size(); ++k) in.args[k] = find(frame, n.args[k].id);
      cost = kernel_cost(n.op, arg_type);
    }
    in.out = take(n.type);
    frame.registers[id] = in.out;
    scope.code.push_back(in);
    return cost;
  }

  // A load with a long stride along the last axis that is contiguous along another one.
  void find_tile_axis(const LoadPlan& load) {
    const size_t rank = plan_.domain.size();
    if (rank < 2 || !load.indices.empty() || std::abs(load.axes.back()) < kTileRows) return;
    if (plan_.domain.back() < kTileRows) return;
    for (size_t a = 0; a + 1 < rank; ++a) {
      if (load.axes[a] == 1 && plan_.domain[a] >= kTileRows / 2) {
        plan_.tile_axis = static_cast<int32_t>(a);
      }
    }
  }

  [[nodiscard]] bool is_output(uint32_t id) const {
    return std::any_of(program_.outputs.begin(), program_.outputs.end(),
                       [&](const ExprOutput& o) { return o.value.id == id; });
  }

  // ---- Reductions ----

  float emit_reduction(Frame& frame, uint32_t id, uint64_t enclosing, Scope& scope) {
    const ExprNode& n = node(id);
    const ExprNode& body = node(n.args[1].id);
    const uint64_t inside = enclosing | uint64_t{1} << n.slot;
    const std::vector<uint32_t> list =
        nodes_of_scope(stripped_, free_, {&n.args[1], 1}, n.slot, inside);
    Reduction r;
    r.op = n.op;
    r.type = body.type;
    r.variable = n.slot;
    int64_t extent = kTypicalExtent;
    if (facts_.is_constant(n.args[0], &r.fixed_extent))
      extent = r.fixed_extent;
    else
      r.fixed_extent = -1;
    if (r.fixed_extent < 0) r.extent = find(frame, n.args[0].id);
    r.across = goes_across(n.args[1].id, frame, n.slot, extent);

    Instruction in;
    in.kind = Instruction::Kind::kReduce;
    in.type = n.type;
    in.out = take(n.type);
    std::vector<Register> own;
    const auto own_register = [&](Scalar type) {
      own.push_back(take(type));
      return own.back();
    };
    if (!r.across) {
      const Scalar wide = accumulator_type(r.op, r.type);
      r.accumulate = accumulate_kernel(r.op, r.type);
      r.accumulator = wide == n.type && !is_arg_reduction(r.op) ? in.out : own_register(wide);
      if (r.op == ExprOp::kReduceSum && r.type == Scalar::kF32) r.partial = own_register(r.type);
      if (r.fixed_extent < 0) {
        r.masked = own_register(r.type);
        r.identity = own_register(r.type);
        r.active = own_register(Scalar::kBool);
      }
    }
    plan_.needs_rows = plan_.needs_rows || (r.across && frame.variable == kNoLoop);
    Frame inner{&frame,
                r.across ? &r : nullptr,
                r.across ? n.slot : frame.variable,
                r.across ? std::min<int64_t>(extent, kBlock) : frame.lanes,
                {}};
    const float body_cost = build_scope(inner, list, inside, r.body);
    r.value = find(inner, n.args[1].id);
    for (uint32_t k : list) {
      if (const auto it = inner.registers.find(k); it != inner.registers.end()) {
        give_back(it->second);
      }
    }
    for (Register k : own) give_back(k);
    in.detail = static_cast<uint32_t>(plan_.reductions.size());
    plan_.reductions.push_back(std::move(r));
    frame.registers[id] = in.out;
    scope.code.push_back(in);
    return (body_cost + 0.2F) * static_cast<float>(extent);
  }

  // Nanoseconds of one lane of a load, by how far apart the lanes read.
  [[nodiscard]] float load_cost(uint32_t id, uint32_t variable) const {
    const LoadPlan& plan = loads_[id];
    if (!plan.indices.empty() && !(variable == kNoLoop && plan.row_indices)) return 2.0F;
    if (variable == kNoLoop && plan.contiguous) return 0.15F;
    const int64_t stride = variable != kNoLoop ? plan.loop_stride(variable)
                           : plan.axes.empty() ? 0
                                               : plan.axes.back();
    // Short rows cost by the row.
    float cost = stride == 0 ? 0.05F : stride == 1 ? 0.15F : 1.0F;
    if (variable == kNoLoop && !plan.fixed) {
      cost += 4.0F / static_cast<float>(std::max<int64_t>(plan_.domain.back(), 1));
    }
    return cost;
  }

  // Which way the loads of a body are cheaper, and how much of the blocks is filled.
  bool goes_across(uint32_t body, const Frame& frame, uint32_t variable, int64_t extent) const {
    std::vector<bool> reached(program_.nodes.size());
    reached[body] = true;
    float along = 0;
    float across = 0;
    int nodes = 0;
    for (uint32_t id = body + 1; id-- > 0;) {
      if (!reached[id] || (free_[id] >> variable & 1) == 0) continue;
      for (Expr arg : stripped_.nodes[id].args) reached[arg.id] = true;
      if (node(id).op == ExprOp::kLoop) continue;
      ++nodes;
      if (is_load(node(id).op)) {
        along += load_cost(id, frame.variable);
        across += load_cost(id, variable);
      } else {
        along += 0.2F;
        across += 0.2F;
      }
    }
    const auto filled = [](int64_t n) {  // computed lanes a useful one
      const int64_t lanes = std::clamp<int64_t>(n, 1, kBlock);
      return static_cast<float>((lanes + kBlockStep - 1) / kBlockStep * kBlockStep) /
             static_cast<float>(lanes);
    };
    const float call = 6.0F * static_cast<float>(nodes + 1);
    const auto lanes = static_cast<float>(std::clamp<int64_t>(frame.lanes, 1, kBlock));
    along = along * filled(frame.lanes) + call / lanes;
    const auto length = static_cast<float>(std::max<int64_t>(extent, 1));
    across = across * filled(extent) + call / std::min<float>(length, kBlock) + 60.0F / length;
    return across < along;
  }

  const ExprProgram& program_;
  ExprProgram stripped_;  // without the arguments that affine loads need no value of
  ExprProgram scratch_;   // what `facts_` builds on
  ExprBuilder facts_;     // ranges of integers
  std::vector<uint64_t> axes_;
  std::vector<bool> reductions_;
  std::vector<uint64_t> free_;
  std::vector<std::optional<Affine>> affine_;
  std::vector<LoadPlan> loads_;       // per node
  std::vector<int64_t> loop_bounds_;  // each variable stays below
  std::vector<bool> keep_ = std::vector<bool>(program_.nodes.size());
  std::vector<uint32_t> widths_;                    // per register
  std::map<uint32_t, std::vector<Register>> idle_;  // by width
  Frame top_;
  BlockedPlan plan_;
};

}  // namespace

int64_t BlockedPlan::tile_count() const {
  int64_t tiles = 1;
  for (size_t a = 0; a < domain.size(); ++a) {
    const int64_t size = a + 1 == domain.size()                 ? kTileColumns
                         : static_cast<int32_t>(a) == tile_axis ? kTileRows
                                                                : 1;
    tiles *= (domain[a] + size - 1) / size;
  }
  return tiles;
}

BlockedPlan build_blocked_plan(const ExprProgram& program) { return PlanBuilder(program).build(); }

}  // namespace quern
