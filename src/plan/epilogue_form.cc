#include "plan/epilogue_form.h"

#include <algorithm>
#include <bit>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "ir/expr_ops.h"

namespace quern {
namespace {

/// By node: does it depend on the anchor?
std::vector<bool> users_of_anchor(const ExprProgram& program) {
  std::vector<bool> users(program.nodes.size());
  for (size_t id = 0; id < users.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    users[id] = is_load(node.op) && program.inputs[node.slot].is_anchor;
    for (const Expr arg : node.args) users[id] = users[id] || users[arg.id];
  }
  return users;
}

/// Inputs as they are loaded on the way from the output down, arguments in their order.
std::vector<uint32_t> inputs_in_order(const ExprProgram& program) {
  std::vector<uint32_t> order;
  for (uint32_t i = 0; i < program.inputs.size(); ++i) {
    if (program.inputs[i].is_anchor) order.push_back(i);
  }
  std::vector<bool> seen(program.nodes.size());
  std::vector<Expr> stack = {program.outputs[0].value};
  while (!stack.empty()) {
    const Expr e = stack.back();
    stack.pop_back();
    if (seen[e.id]) continue;
    seen[e.id] = true;
    const ExprNode& node = program.at(e);
    const bool is_new = is_load(node.op) && std::ranges::find(order, node.slot) == order.end();
    if (is_new) order.push_back(node.slot);
    stack.insert(stack.end(), node.args.rbegin(), node.args.rend());
  }
  for (uint32_t i = 0; i < program.inputs.size(); ++i) {
    if (std::ranges::find(order, i) == order.end()) order.push_back(i);
  }
  return order;
}

/// The constant that `e` is bounded by with `op`, and what is bounded; nothing where it is not.
struct Bound {
  Expr inner;
  float value;
};

std::optional<Bound> bound_of(const ExprProgram& program, Expr e, ExprOp op) {
  const ExprNode& node = program.at(e);
  if (node.op != op) return std::nullopt;
  for (const size_t side : {0, 1}) {
    const ExprNode& constant = program.at(node.args[side]);
    if (constant.op != ExprOp::kConst) continue;
    return Bound{node.args[1 - side], static_cast<float>(std::bit_cast<double>(constant.bits))};
  }
  return std::nullopt;
}

/// The anchor, or a sum of it and another element: what layers with and without a residual have.
bool is_sum_of_loads(const ExprProgram& program, Expr e) {
  const ExprNode& node = program.at(e);
  if (is_load(node.op)) return true;
  return node.op == ExprOp::kAdd &&
         std::ranges::all_of(node.args, [&](Expr arg) { return is_load(program.at(arg).op); });
}

}  // namespace

void order_epilogue(Composed& epilogue) {
  ExprProgram& program = epilogue.program;
  if (program.outputs.size() != 1) return;
  const std::vector<bool> users = users_of_anchor(program);
  for (ExprNode& node : program.nodes) {
    if (!is_commutative(node.op) || node.args.size() != 2) continue;
    if (users[node.args[1].id] && !users[node.args[0].id]) std::swap(node.args[0], node.args[1]);
  }
  const std::vector<uint32_t> order = inputs_in_order(program);
  std::vector<uint32_t> place(order.size());
  std::vector<ExprInput> inputs;
  std::vector<uint32_t> outer;
  for (uint32_t i = 0; i < order.size(); ++i) {
    place[order[i]] = i;
    inputs.push_back(program.inputs[order[i]]);
    outer.push_back(epilogue.inputs[order[i]]);
  }
  for (ExprNode& node : program.nodes) {
    if (is_load(node.op)) node.slot = place[node.slot];
  }
  program.inputs = std::move(inputs);
  epilogue.inputs = std::move(outer);
}

void bound_by_parameters(ExprProgram& program) {
  if (program.outputs.size() != 1 || program.outputs[0].dtype != DType::kF32) return;
  Expr value = program.outputs[0].value;
  if (program.at(value).type != Scalar::kF32) return;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  float low = -kInfinity;
  float high = kInfinity;
  if (const auto upper = bound_of(program, value, ExprOp::kMin)) {
    high = upper->value;
    value = upper->inner;
  }
  if (const auto lower = bound_of(program, value, ExprOp::kMax)) {
    low = lower->value;
    value = lower->inner;
  }
  if (!is_sum_of_loads(program, value)) return;
  const auto bounded = [&](ExprOp op, float by) {
    const auto param = static_cast<uint32_t>(program.nodes.size());
    program.nodes.push_back({.op = ExprOp::kParam,
                             .type = Scalar::kF32,
                             .slot = static_cast<uint32_t>(program.params.size())});
    program.params.push_back(std::bit_cast<uint32_t>(by));
    program.nodes.push_back({.op = op, .type = Scalar::kF32, .args = {value, Expr{param}}});
    value = Expr{param + 1};
  };
  bounded(ExprOp::kMax, low);
  bounded(ExprOp::kMin, high);
  program.outputs[0].value = value;
}

}  // namespace quern
