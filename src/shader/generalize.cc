#include "shader/generalize.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>
#include <numeric>

#include "ir/expr_ops.h"
#include "shader/lanes.h"

namespace quern {
namespace {

/// Elements up to which a kernel waits for memory more than it computes places.
constexpr int64_t kSmallDomain = 1 << 20;
/// Elements that an invocation takes at most.
constexpr int64_t kVector = 4;

bool is_fixed(const Extent& e) { return e.baked() && e.value > 1; }

bool has_parameter(const ExprProgram& program) {
  const auto free = [](const Extent& e) { return !e.baked(); };
  if (std::ranges::any_of(program.domain, free)) return true;
  return std::ranges::any_of(program.nodes, [&](const ExprNode& node) {
    return is_reduction(node.op) && program.at(node.args[0]).op != ExprOp::kConst;
  });
}

/// Makes a parameter of each number among the extents [first, axes) of the domain; `vectors`: what
/// is a multiple of a vector's elements stays known as one.
void free_extents(ExprProgram& program, size_t axes, size_t first, bool vectors) {
  std::map<int64_t, int32_t> params;
  for (size_t a = first; a < axes; ++a) {
    const Extent& e = program.domain[a];
    if (!is_fixed(e)) continue;
    if (params.try_emplace(e.value, static_cast<int32_t>(program.params.size())).second) {
      program.params.push_back(e.value);
    }
  }
  const auto free = [&](Extent& e) {
    if (!is_fixed(e)) return;
    const auto found = params.find(e.value);
    if (found == params.end()) return;
    e.param = found->second;
    if (vectors) e.multiple = static_cast<int32_t>(std::gcd(e.value, kVector));
  };
  for (size_t a = first; a < axes; ++a) free(program.domain[a]);
  for (ExprInput& input : program.inputs) std::ranges::for_each(input.dims, free);
}

bool equal_shares(const ExprProgram& a, const ExprProgram& b, const Target& target) {
  const std::vector<NodeFacts> facts = facts_of(a);
  const LanePlan x = lanes_of(a, facts);
  const LanePlan y = lanes_of(b, facts);
  if (x.lanes != y.lanes || x.row != y.row || x.loads != y.loads) return false;
  const TilePlan s = tile_of(a, facts, target);
  const TilePlan t = tile_of(b, facts, target);
  return s.load == t.load && s.axis == t.axis;
}

/// Of how many axes, from the first on, the extents become parameters.
size_t shared_axes(const ExprProgram& program, const Target& target, bool vectors) {
  const size_t rank = program.domain.size();
  // The last axis may be what vectors need.
  for (size_t axes = rank; axes + 1 >= rank && axes > 0; --axes) {
    ExprProgram shared = program;
    free_extents(shared, axes, 0, vectors);
    if (shared.params.size() == program.params.size()) return 0;
    if (equal_shares(program, shared, target)) return axes;
  }
  return 0;
}

/// The first axis that places are computed with; the domain's rank where all are the element's own.
size_t first_used_axis(const ExprProgram& program) {
  const LanePlan plan = lanes_of(program, facts_of(program));
  size_t first = program.domain.size();
  walk_down(program, {program.outputs[0].value}, [&](Expr e) {
    const ExprNode& node = program.at(e);
    if (node.op == ExprOp::kIndex) first = std::min<size_t>(first, node.slot);
    const bool own = is_load(node.op) &&
                     (plan.loads[e.id] == LoadForm::kFlat || program.inputs[node.slot].is_anchor);
    return !own;
  });
  return first;
}

bool is_arithmetic(ExprOp op) {
  switch (op) {
    case ExprOp::kAdd:
    case ExprOp::kSub:
    case ExprOp::kMul:
    case ExprOp::kDiv:
    case ExprOp::kMin:
    case ExprOp::kMax:
      return true;
    default:
      return false;
  }
}

/// Numbers as operators define them have few bits: 3, 0.5, 1e-5 is no such.
bool has_many_bits(float value) {
  constexpr uint32_t kLow = 0x7fff;  // of the significand: 8 bits of it stay
  return std::isfinite(value) && (std::bit_cast<uint32_t>(value) & kLow) != 0;
}

void share_constants(ExprProgram& program) {
  std::vector<bool> other_use(program.nodes.size());
  for (const ExprNode& node : program.nodes) {
    if (is_arithmetic(node.op)) continue;
    for (const Expr arg : node.args) other_use[arg.id] = true;
  }
  for (const ExprOutput& output : program.outputs) other_use[output.value.id] = true;
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    ExprNode& node = program.nodes[id];
    if (node.op != ExprOp::kConst || node.type != Scalar::kF32 || other_use[id]) continue;
    const auto value = static_cast<float>(std::bit_cast<double>(node.bits));
    if (!has_many_bits(value)) continue;
    node.op = ExprOp::kParam;
    node.slot = static_cast<uint32_t>(program.params.size());
    node.bits = 0;
    program.params.push_back(std::bit_cast<uint32_t>(value));
  }
}

}  // namespace

void Generalizer::run_epilogue(ExprProgram& program) {
  share_constants(program);
  const size_t rank = program.domain.size();
  const size_t first = first_used_axis(program);
  if (first < rank) free_extents(program, rank, first, false);
}

void Generalizer::run(ExprProgram& program) {
  share_constants(program);
  if (program.domain.empty()) return;
  // All divisions are by constants, and stay so where there are many.
  const bool is_small = program.domain_count() <= kSmallDomain && !target_.emulated;
  const bool is_known = program.domain.size() > 1 && !has_parameter(program);
  if (is_known && !is_small) return;
  const auto [axes, is_new] = axes_.try_emplace(program.key());
  if (is_new) axes->second = shared_axes(program, target_, is_known);
  free_extents(program, axes->second, 0, is_known);
}

}  // namespace quern
