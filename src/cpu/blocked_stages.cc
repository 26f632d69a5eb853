#include "cpu/blocked_stages.h"

#include <map>

#include "ir/expr_copy.h"
#include "ir/expr_eval.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

std::vector<Extent> baked(std::vector<Extent> dims) {
  for (Extent& e : dims) e.param = -1;
  return dims;
}

// A program over `axes` (as bits) with the given nodes as outputs.
ExprProgram stage_program(const ExprProgram& from, uint64_t axes,
                          const std::vector<uint32_t>& roots) {
  ExprProgram to;
  to.inputs = from.inputs;
  std::vector<uint32_t> axis(from.domain.size());
  for (size_t a = 0; a < from.domain.size(); ++a) {
    if ((axes >> a & 1) == 0) continue;
    axis[a] = static_cast<uint32_t>(to.domain.size());
    to.domain.push_back(from.domain[a]);
  }
  std::vector<bool> needed(from.nodes.size());
  for (uint32_t root : roots) needed[root] = true;
  for (size_t id = needed.size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (Expr arg : from.nodes[id].args) needed[arg.id] = true;
  }
  ExprBuilder b(to);
  ExprCopy copy(from, b);
  for (size_t id = 0; id < needed.size(); ++id) {
    if (!needed[id]) continue;
    const ExprNode& node = from.nodes[id];
    if (node.op == ExprOp::kIndex)
      copy.mapped[id] = b.index(axis[node.slot]);
    else
      copy.node(id);
  }
  for (uint32_t root : roots) {
    to.outputs.push_back({copy.mapped[root], storage_type(from.nodes[root].type)});
  }
  return to;
}

}  // namespace

ExprProgram bake(const ExprProgram& program) {
  ExprProgram to;
  to.domain = baked(program.domain);
  to.inputs = program.inputs;
  for (ExprInput& input : to.inputs) input.dims = baked(std::move(input.dims));
  ExprBuilder b(to);
  ExprCopy copy(program, b);
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (node.op == ExprOp::kParam) {
      copy.mapped[id] = b.make(
          {ExprOp::kConst, node.type, 0, param_value(node.type, program.params[node.slot]), {}});
    } else {
      copy.node(id);
    }
  }
  for (const ExprOutput& output : program.outputs) {
    to.outputs.push_back({copy.mapped[output.value.id], output.dtype});
  }
  collapse_axes(to);
  return to;
}

std::vector<uint64_t> axes_of_nodes(const ExprProgram& program) {
  std::vector<uint64_t> axes(program.nodes.size());
  for (size_t id = 0; id < axes.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (node.op == ExprOp::kIndex) axes[id] = uint64_t{1} << node.slot;
    for (Expr arg : node.args) axes[id] |= axes[arg.id];
  }
  return axes;
}

std::vector<bool> nodes_with_reductions(const ExprProgram& program) {
  std::vector<bool> with(program.nodes.size());
  for (size_t id = 0; id < with.size(); ++id) {
    with[id] = is_reduction(program.nodes[id].op);
    for (Expr arg : program.nodes[id].args) with[id] = with[id] || with[arg.id];
  }
  return with;
}

StagedProgram split_stages(const ExprProgram& program) {
  StagedProgram result;
  const size_t rank = program.domain.size();
  const uint64_t all = rank == 64 ? ~uint64_t{0} : (uint64_t{1} << rank) - 1;
  const std::vector<uint64_t> axes = axes_of_nodes(program);
  const std::vector<bool> with_reduction = nodes_with_reductions(program);
  const std::vector<uint64_t> free = free_loops(program);

  // From the outputs down to the first nodes that can be stages.
  std::vector<bool> needed(program.nodes.size());
  std::map<uint64_t, std::vector<uint32_t>> roots;  // by axes
  for (const ExprOutput& output : program.outputs) needed[output.value.id] = true;
  std::vector<bool> is_root(program.nodes.size());
  for (size_t id = needed.size(); id-- > 0;) {
    if (!needed[id]) continue;
    if (with_reduction[id] && free[id] == 0 && axes[id] != all) {
      is_root[id] = true;
      roots[axes[id]].push_back(static_cast<uint32_t>(id));
      continue;
    }
    for (Expr arg : program.nodes[id].args) needed[arg.id] = true;
  }
  if (roots.empty()) {
    result.main = program;
    return result;
  }

  ExprProgram& main = result.main;
  main.domain = program.domain;
  main.inputs = program.inputs;
  std::map<uint32_t, uint32_t> input_of_root;
  for (const auto& [bits, ids] : roots) {
    Stage stage{stage_program(program, bits, ids), static_cast<uint32_t>(main.inputs.size())};
    for (size_t k = 0; k < ids.size(); ++k) {
      input_of_root[ids[k]] = static_cast<uint32_t>(main.inputs.size());
      main.inputs.push_back({stage.program.outputs[k].dtype, stage.program.domain, false});
    }
    result.stages.push_back(std::move(stage));
  }
  ExprBuilder b(main);
  ExprCopy copy(program, b);
  for (size_t id = 0; id < needed.size(); ++id) {
    if (!needed[id]) continue;
    if (!is_root[id]) {
      copy.node(id);
      continue;
    }
    std::vector<Expr> index;
    for (uint32_t a = 0; a < rank; ++a) {
      if ((axes[id] >> a & 1) != 0) index.push_back(b.index(a));
    }
    copy.mapped[id] = b.load(input_of_root[static_cast<uint32_t>(id)], index);
  }
  for (const ExprOutput& output : program.outputs) {
    main.outputs.push_back({copy.mapped[output.value.id], output.dtype});
  }
  collapse_axes(main);
  return result;
}

}  // namespace quern
