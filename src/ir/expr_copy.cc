#include "ir/expr_copy.h"

#include "ir/expr_ops.h"

namespace quern {

std::vector<bool> live_nodes(const ExprProgram& program) {
  std::vector<bool> live(program.nodes.size());
  for (const ExprOutput& output : program.outputs) live[output.value.id] = true;
  for (size_t id = live.size(); id-- > 0;) {
    if (!live[id]) continue;
    for (Expr arg : program.nodes[id].args) live[arg.id] = true;
  }
  return live;
}

void remove_dead_nodes(ExprProgram& program) {
  const std::vector<bool> live = live_nodes(program);
  std::vector<ExprNode> nodes;
  std::vector<Expr> mapped(live.size());
  for (size_t id = 0; id < live.size(); ++id) {
    if (!live[id]) continue;
    mapped[id] = {static_cast<uint32_t>(nodes.size())};
    nodes.push_back(std::move(program.nodes[id]));
    for (Expr& arg : nodes.back().args) arg = mapped[arg.id];
  }
  program.nodes = std::move(nodes);
  for (ExprOutput& output : program.outputs) output.value = mapped[output.value.id];
}

std::vector<Expr> ExprCopy::arguments(const ExprNode& node) const {
  std::vector<Expr> args;
  for (Expr arg : node.args) args.push_back(mapped[arg.id]);
  return args;
}

Expr ExprCopy::loop(uint32_t variable) {
  const auto [it, is_new] = loops_.try_emplace(variable);
  if (is_new) it->second = to_.loop();
  return it->second;
}

void ExprCopy::node(size_t id) {
  ExprNode node = from_.nodes[id];
  node.args = arguments(node);
  Expr& result = mapped[id];
  if (node.op == ExprOp::kLoop) {
    result = loop(node.slot);
  } else if (node.op == ExprOp::kLoad) {
    result = to_.load(node.slot, node.args);
  } else if (node.op == ExprOp::kLoadFlat) {
    result = to_.load_flat(node.slot, node.args[0]);
  } else if (is_reduction(node.op)) {
    result = to_.reduce(node.op, loop(node.slot), node.args[0], node.args[1]);
  } else {
    result = to_.make(std::move(node));
  }
}

}  // namespace quern
