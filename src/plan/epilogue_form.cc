#include "plan/epilogue_form.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>
#include <vector>

#include "ir/expr_ops.h"
#include "ops/common/exprs.h"
#include "shader/lanes.h"

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
  walk_down(program, {program.outputs[0].value}, [&](Expr e) {
    const ExprNode& node = program.at(e);
    const bool is_new = is_load(node.op) && std::ranges::find(order, node.slot) == order.end();
    if (is_new) order.push_back(node.slot);
    return true;
  });
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

/// The input that `e` is the present element of.
std::optional<uint32_t> own_element(const ExprProgram& program, const LanePlan& plan, Expr e) {
  const ExprNode& node = program.at(e);
  if (!is_load(node.op)) return std::nullopt;
  const ExprInput& input = program.inputs[node.slot];
  const bool own = input.is_anchor || plan.loads[e.id] == LoadForm::kFlat;
  return own && input.dtype == DType::kF32 ? std::optional(node.slot) : std::nullopt;
}

/// The x of x times its sigmoid.
std::optional<Expr> inside_swish(const ExprProgram& program, Expr e) {
  const ExprNode& node = program.at(e);
  if (node.op != ExprOp::kMul) return std::nullopt;
  for (const size_t side : {0, 1}) {
    // Nodes are hash-consed: what is made anew is the node that is there.
    ExprProgram copy = program;
    ExprBuilder b(copy);
    const Expr x = node.args[side];
    if (sigmoid(b, x) == node.args[1 - side]) return x;
  }
  return std::nullopt;
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

std::optional<CommonEpilogue> common_epilogue_of(const Composed& epilogue) {
  const ExprProgram& program = epilogue.program;
  if (program.outputs.size() != 1 || program.outputs[0].dtype != DType::kF32) return std::nullopt;
  Expr value = program.outputs[0].value;
  const LanePlan plan = lanes_of(program, facts_of(program));
  const auto is_anchor = [&](Expr e) {
    const auto slot = own_element(program, plan, e);
    return slot && program.inputs[*slot].is_anchor;
  };
  CommonEpilogue found;
  const auto take_residual = [&] {
    const ExprNode& node = program.at(value);
    if (node.op != ExprOp::kAdd || found.residual != Composed::kUnused) return false;
    const auto other = own_element(program, plan, node.args[1]);
    if (!other || program.inputs[*other].is_anchor) return false;
    found.residual = epilogue.inputs[*other];
    value = node.args[0];
    return true;
  };
  found.added_after = take_residual() && !is_anchor(value);
  if (const auto x = inside_swish(program, value)) {
    found.swish = true;
    value = *x;
  } else {
    if (const auto upper = bound_of(program, value, ExprOp::kMin)) {
      found.high = upper->value;
      value = upper->inner;
    }
    if (const auto lower = bound_of(program, value, ExprOp::kMax)) {
      found.low = lower->value;
      value = lower->inner;
    }
  }
  take_residual();
  return is_anchor(value) ? std::optional(found) : std::nullopt;
}

Composed compose_common(const CommonEpilogue& epilogue, int64_t count, bool whole) {
  Composed composed;
  ExprProgram& program = composed.program;
  program.domain = {{count, 0}};
  program.params = {count};
  const bool adds = epilogue.residual != Composed::kUnused;
  const bool has_other = adds || whole;
  for (const bool anchor : {true, false}) {
    if (!anchor && !has_other) continue;
    program.inputs.push_back({DType::kF32, program.domain, anchor});
    composed.inputs.push_back(anchor ? Composed::kAnchor : epilogue.residual);
  }
  ExprBuilder b(program);
  const Expr low = b.param(Scalar::kF32, std::bit_cast<uint32_t>(epilogue.low));
  const Expr high = b.param(Scalar::kF32, std::bit_cast<uint32_t>(epilogue.high));
  const int64_t mode = !adds ? 0 : epilogue.added_after ? 2 : 1;
  const Expr adding = has_other ? b.param(Scalar::kI32, mode) : Expr{};
  const Expr swish = whole ? b.param(Scalar::kI32, epilogue.swish ? 1 : 0) : Expr{};
  const Expr at[] = {b.index(0)};
  Expr value = b.load(0, at);
  const auto is = [&](Expr what, int64_t n) { return b.binary(ExprOp::kEq, what, b.i32(n)); };
  const auto added = [&](int64_t when) {
    return b.select(is(adding, when), b.add(value, b.load(1, at)), value);
  };
  if (has_other) value = added(1);
  const Expr bounded = b.min(b.max(value, low), high);
  value = whole ? b.select(is(swish, 1), b.mul(value, sigmoid(b, value)), bounded) : bounded;
  if (whole) value = added(2);
  program.outputs = {{value, DType::kF32}};
  return composed;
}

}  // namespace quern
