// How much work an expression kernel's invocations and workgroups take.
#include <algorithm>

#include "ir/expr_ops.h"
#include "shader/lanes.h"
#include "shader/lower.h"

namespace quern {
namespace {

constexpr uint32_t kWorkgroup = 64;
// Of elements without reductions: with workgroups of 64, a device is busy with starting them (80%
// of a copy's bandwidth on an H200). Fewer elements than this are spread over more workgroups
// instead.
constexpr uint32_t kWideWorkgroup = 256;
constexpr int64_t kFewElements = int64_t{1} << 18;
constexpr uint32_t kMaxReduceWorkgroup = 256;
// Of reductions whose length is not baked, so that there are two variants: this and none.
constexpr uint32_t kDynamicWorkgroup = 128;
// A shorter reduction is one invocation's.
constexpr int64_t kMinShared = 64;
// So many elements keep a device busy with an invocation each. A reduction is then shared only
// where that makes neighbouring invocations read neighbouring numbers.
constexpr int64_t kManyElements = 16384;

int64_t value_of(const ExprProgram& program, Expr e) {
  const ExprNode& node = program.at(e);
  if (node.op == ExprOp::kConst) return node.bits;
  if (node.op == ExprOp::kParam) return program.params[node.slot];
  if (node.op == ExprOp::kMul) {
    return value_of(program, node.args[0]) * value_of(program, node.args[1]);
  }
  return 1;
}

// Do all loads in the loop `slot` run along it, so that a workgroup reads neighbours?
bool runs_along(const ExprProgram& program, const std::vector<NodeFacts>& facts, uint32_t slot) {
  const uint64_t loop = uint64_t{1} << (slot & 63);
  bool any = false;
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (!facts[id].reachable || !is_load(node.op) || (facts[id].loops & loop) == 0) continue;
    if ((facts[node.args.back().id].loops & loop) == 0) return false;
    any = true;
  }
  return any;
}

}  // namespace

ExprSchedule schedule_of(const ExprProgram& program, const Target& target) {
  ExprSchedule schedule;
  schedule.workgroup_size = std::min(kWorkgroup, target.max_invocations);
  const std::vector<NodeFacts> facts = facts_of(program);
  // The longest nest of reductions that a workgroup could share, in this binding.
  int64_t longest = 0;
  bool contiguous = false;
  bool baked = true;
  bool reduces = false;
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    const ExprNode* node = &program.nodes[id];
    if (!facts[id].reachable || !is_reduction(node->op)) continue;
    reduces = true;
    if (facts[id].loops != 0) continue;
    int64_t length = 1;
    bool along = false;
    for (;;) {
      length *= std::max<int64_t>(value_of(program, node->args[0]), 0);
      baked = baked && program.at(node->args[0]).op == ExprOp::kConst;
      along = runs_along(program, facts, node->slot);  // of the innermost
      const ExprNode& body = program.at(node->args[1]);
      if (body.op != node->op || is_arg_reduction(body.op)) break;
      node = &body;
    }
    longest = std::max(longest, length);
    contiguous = contiguous || along;
  }
  const bool few =
      program.domain_count() < kFewElements &&
      std::all_of(
          program.domain.begin(), program.domain.end(), [](const Extent& e) { return e.baked(); });
  if (!reduces && !few) schedule.workgroup_size = std::min(kWideWorkgroup, target.max_invocations);
  // Invocations that take turns share nothing.
  if (target.emulated || longest < kMinShared ||
      (!contiguous && program.domain_count() >= kManyElements)) {
    return schedule;
  }
  schedule.workgroup_reduce = true;
  schedule.workgroup_size = baked ? 32 : kDynamicWorkgroup;
  while (baked && schedule.workgroup_size * 8 <= longest &&
         schedule.workgroup_size < kMaxReduceWorkgroup) {
    schedule.workgroup_size *= 2;
  }
  while (schedule.workgroup_size > target.max_invocations) schedule.workgroup_size /= 2;
  return schedule;
}

std::array<uint64_t, 3> split_workgroups(uint64_t count, const Target& target) {
  const uint64_t limit = target.max_workgroups;
  if (count <= limit) return {count, 1, 1};
  const uint64_t rows = (count + limit - 1) / limit;
  return {(count + rows - 1) / rows, rows, 1};
}

std::array<uint64_t, 3> workgroups_of(const ExprProgram& program, const ExprSchedule& schedule,
                                      const Target& target) {
  const std::vector<NodeFacts> facts = facts_of(program);
  if (const TilePlan tile = tile_of(program, facts, target); tile.used()) {
    uint64_t tiles = 1;
    for (size_t a = 0; a < program.domain.size(); ++a) {
      const Extent& e = program.domain[a];
      const auto extent = static_cast<uint64_t>(e.baked() ? e.value : program.params[e.param]);
      const bool cut = a == tile.axis || a + 1 == program.domain.size();
      tiles *= cut ? (extent + kTransposeTile - 1) / kTransposeTile : extent;
    }
    return split_workgroups(tiles, target);
  }
  const uint64_t lanes = lanes_of(program, facts).lanes;
  const uint64_t invocations = (static_cast<uint64_t>(program.domain_count()) + lanes - 1) / lanes;
  if (is_shared(program, facts, schedule)) return split_workgroups(invocations, target);
  const uint64_t size = schedule.workgroup_size;
  return split_workgroups((invocations + size - 1) / size, target);
}

}  // namespace quern
