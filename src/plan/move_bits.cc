#include "plan/move_bits.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "ir/expr_copy.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

DType bits_type(DType dtype) {
  switch (bit_width(dtype)) {
    case 64:
      return DType::kU64;
    case 16:
      return DType::kU16;
    case 8:
      return DType::kU8;
    default:
      return dtype;
  }
}

bool can_move(DType dtype) {
  return is_float(dtype) && dtype != DType::kF32 && bits_type(dtype) != dtype;
}

/// Sets of nodes and inputs whose elements go to the same places.
class Flows {
 public:
  Flows(const ExprProgram& program, std::span<const uint32_t> storages)
      : program_(program), parents_(program.nodes.size() + program.inputs.size()) {
    std::iota(parents_.begin(), parents_.end(), size_t{0});
    bad_.assign(parents_.size(), false);
    dtypes_.assign(parents_.size(), DType::kUndefined);
    for (size_t i = 0; i < program.inputs.size(); ++i) {
      meet(of_input(i), program.inputs[i].dtype);
      if (program.inputs[i].is_anchor) bad_[root(of_input(i))] = true;
      for (size_t j = 0; j < i; ++j) {
        if (storages[i] == storages[j]) join(of_input(i), of_input(j));
      }
    }
    const std::vector<bool> live = live_nodes(program);
    for (size_t id = 0; id < program.nodes.size(); ++id) {
      if (live[id]) add(id);
    }
    for (const ExprOutput& output : program.outputs) {
      if (is_float(program.at(output.value).type)) {
        if (is_constant(output.value)) continue;
        meet(output.value.id, output.dtype);
      }
    }
  }

  [[nodiscard]] bool input_moves(size_t i) { return moves(of_input(i)); }
  [[nodiscard]] bool node_moves(Expr e) { return is_float(program_.at(e).type) && moves(e.id); }
  [[nodiscard]] DType dtype(Expr e) { return dtypes_[root(e.id)]; }
  /// Shared by what moves and what does not: a copy goes with each. A parameter of f64 holds the
  /// bits already.
  [[nodiscard]] bool is_constant(Expr e) const {
    const ExprNode& node = program_.at(e);
    return node.op == ExprOp::kConst || (node.op == ExprOp::kParam && node.type == Scalar::kF64);
  }

 private:
  [[nodiscard]] size_t of_input(size_t i) const { return program_.nodes.size() + i; }

  size_t root(size_t at) {
    while (parents_[at] != at) at = parents_[at] = parents_[parents_[at]];
    return at;
  }
  bool moves(size_t at) {
    const size_t r = root(at);
    return !bad_[r] && can_move(dtypes_[r]);
  }
  void meet(size_t at, DType dtype) {
    const size_t r = root(at);
    if (dtypes_[r] != DType::kUndefined && dtypes_[r] != dtype) bad_[r] = true;
    dtypes_[r] = dtype;
  }
  void join(size_t a, size_t b) {
    a = root(a);
    b = root(b);
    if (a == b) return;
    parents_[a] = b;
    bad_[b] = bad_[a] || bad_[b];
    if (dtypes_[a] != DType::kUndefined) meet(b, dtypes_[a]);
  }

  void add(size_t id) {
    const ExprNode& node = program_.nodes[id];
    if (is_load(node.op)) {
      join(id, of_input(node.slot));
    } else if (node.op == ExprOp::kSelect && is_float(node.type)) {
      for (size_t i = 1; i < 3; ++i) {
        if (!is_constant(node.args[i])) join(id, node.args[i].id);
      }
    } else {
      // It computes: with its own value, and with its arguments'.
      if (!is_constant({static_cast<uint32_t>(id)})) bad_[root(id)] = true;
      for (Expr arg : node.args) {
        if (is_float(program_.at(arg).type)) bad_[root(arg.id)] = true;
      }
    }
  }

  const ExprProgram& program_;
  std::vector<size_t> parents_;
  std::vector<bool> bad_;
  std::vector<DType> dtypes_;
};

/// The constant as the bits that `dtype` has for it.
Expr constant_bits(ExprBuilder& b, const ExprNode& node, DType dtype) {
  if (node.op == ExprOp::kParam) {
    ExprNode bits = node;
    bits.type = Scalar::kU64;
    return b.make(std::move(bits));
  }
  uint8_t bytes[8] = {};
  store_element(dtype, node.type, bytes, 0, node.bits);
  const DType bits = bits_type(dtype);
  return b.constant_int(compute_type(bits), load_element(bits, bytes, 0));
}

}  // namespace

void move_bits(ExprProgram& program, std::span<const uint32_t> storages) {
  if (std::ranges::none_of(program.outputs, [](const auto& o) { return can_move(o.dtype); })) {
    return;
  }
  Flows flows(program, storages);
  bool any = false;
  ExprProgram to;
  to.domain = program.domain;
  to.inputs = program.inputs;
  to.params = program.params;
  for (size_t i = 0; i < to.inputs.size(); ++i) {
    if (!flows.input_moves(i)) continue;
    to.inputs[i].dtype = bits_type(to.inputs[i].dtype);
    any = true;
  }
  if (!any) return;
  ExprBuilder b(to);
  ExprCopy copy(program, b);
  const std::vector<bool> live = live_nodes(program);
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    if (!live[id]) continue;
    const ExprNode& node = program.nodes[id];
    const Expr e{static_cast<uint32_t>(id)};
    if (node.op != ExprOp::kSelect || !flows.node_moves(e)) {
      copy.node(id);
      continue;
    }
    const auto value = [&](Expr arg) {
      return flows.is_constant(arg) ? constant_bits(b, program.at(arg), flows.dtype(e))
                                    : copy.mapped[arg.id];
    };
    copy.mapped[id] =
        b.select(copy.mapped[node.args[0].id], value(node.args[1]), value(node.args[2]));
  }
  for (const ExprOutput& output : program.outputs) {
    const bool moves = !flows.is_constant(output.value) && flows.node_moves(output.value);
    to.outputs.push_back(
        {copy.mapped[output.value.id], moves ? bits_type(output.dtype) : output.dtype});
  }
  remove_dead_nodes(to);
  program = std::move(to);
}

}  // namespace quern
