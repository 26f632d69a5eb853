#include "shader/lanes.h"

#include <algorithm>
#include <map>

#include "ir/expr_ops.h"

namespace quern {
namespace {

// Past this many nodes a kernel is bound by arithmetic, and copies of its code cost more than
// vector loads save.
constexpr size_t kMaxVectorNodes = 300;

// A polynomial in the parameters: the product of a sorted list of slots to its coefficient. Numbers
// wrap, as those of a kernel do: divisible by a power of two is still what was. (Constants may be
// a float's bits too.)
using Polynomial = std::map<std::vector<int32_t>, int64_t>;
constexpr size_t kMaxTerms = 16;

Polynomial number(int64_t value) {
  Polynomial p;
  if (value != 0) p[{}] = value;
  return p;
}

int64_t wrapping_mul(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}

void add_to(Polynomial& a, const Polynomial& b, int64_t factor) {
  for (const auto& [slots, c] : b) {
    int64_t& sum = a[slots];
    sum = static_cast<int64_t>(static_cast<uint64_t>(sum) +
                               static_cast<uint64_t>(wrapping_mul(c, factor)));
    if (sum == 0) a.erase(slots);
  }
}

Polynomial product(const Polynomial& a, const Polynomial& b) {
  Polynomial out;
  for (const auto& [s, c] : a) {
    for (const auto& [t, d] : b) {
      std::vector<int32_t> slots = s;
      slots.insert(slots.end(), t.begin(), t.end());
      std::sort(slots.begin(), slots.end());
      add_to(out, {{slots, 1}}, wrapping_mul(c, d));
    }
  }
  return out;
}

Polynomial polynomial(const Extent& e) {
  // Of a parameter with a known divisor, the slot stands for the quotient.
  return e.baked() ? number(e.value) : Polynomial{{{e.param}, e.multiple}};
}

bool divisible(const Polynomial& p, int64_t by) {
  return std::all_of(p.begin(), p.end(), [&](const auto& term) { return term.second % by == 0; });
}

// constant + sum of coefficient[a] * index(a).
struct Affine {
  bool known = true;
  Polynomial constant;
  std::map<uint32_t, Polynomial> coefficients;
};
constexpr auto kUnknown = [] { return Affine{.known = false}; };

void add_to(Affine& a, const Affine& b, const Polynomial& factor) {
  add_to(a.constant, product(b.constant, factor), 1);
  for (const auto& [axis, c] : b.coefficients) {
    Polynomial& sum = a.coefficients[axis];
    add_to(sum, product(c, factor), 1);
    if (sum.empty()) a.coefficients.erase(axis);
  }
  a.known = a.known && b.known && a.constant.size() <= kMaxTerms &&
            std::all_of(a.coefficients.begin(), a.coefficients.end(),
                        [](const auto& c) { return c.second.size() <= kMaxTerms; });
}

Affine affine_of(const ExprNode& node, const std::vector<Affine>& before) {
  Affine out;
  switch (node.op) {
    case ExprOp::kConst:
      out.constant = number(node.bits);
      return out;
    case ExprOp::kParam:
      out.constant = {{{static_cast<int32_t>(node.slot)}, 1}};
      return out;
    case ExprOp::kIndex:
      out.coefficients[node.slot] = number(1);
      return out;
    case ExprOp::kAdd:
    case ExprOp::kSub:
      add_to(out, before[node.args[0].id], number(1));
      add_to(out, before[node.args[1].id], number(node.op == ExprOp::kAdd ? 1 : -1));
      return out;
    case ExprOp::kMul:
      for (int side = 0; side < 2; ++side) {
        const Affine& factor = before[node.args[static_cast<size_t>(side)].id];
        if (!factor.known || !factor.coefficients.empty()) continue;
        add_to(out, before[node.args[static_cast<size_t>(1 - side)].id], factor.constant);
        return out;
      }
      return kUnknown();
    default:
      return kUnknown();
  }
}

// The flat index of a load.
Affine flat_index(const ExprProgram& program, const ExprNode& load,
                  const std::vector<Affine>& affine) {
  Affine flat;
  if (load.op == ExprOp::kLoadFlat) return affine[load.args[0].id];
  const std::vector<Extent>& dims = program.inputs[load.slot].dims;
  Polynomial stride = number(1);
  for (size_t k = dims.size(); k-- > 0;) {
    const bool single = dims[k].baked() && dims[k].value == 1;  // its index is 0
    if (!single) add_to(flat, affine[load.args[k].id], stride);
    stride = product(stride, polynomial(dims[k]));
  }
  return flat;
}

struct Classifier {
  const ExprProgram& program;
  const std::vector<NodeFacts>& facts;
  std::vector<Affine> affine;
  std::vector<Polynomial> strides;  // of the domain

  [[nodiscard]] bool is_flat(const Affine& at) const {
    if (!at.known || !at.constant.empty()) return false;
    for (uint32_t a = 0; a < program.domain.size(); ++a) {
      const Extent& e = program.domain[a];
      if (e.baked() && e.value == 1) continue;
      const auto c = at.coefficients.find(a);
      if (c == at.coefficients.end() || c->second != strides[a]) return false;
    }
    return true;
  }

  [[nodiscard]] bool is_row(const Affine& at, uint32_t last, uint32_t lanes) const {
    if (!at.known || !divisible(at.constant, lanes)) return false;
    const auto c = at.coefficients.find(last);
    if (c == at.coefficients.end() || c->second != number(1)) return false;
    return std::all_of(at.coefficients.begin(), at.coefficients.end(), [&](const auto& term) {
      return term.first == last || divisible(term.second, lanes);
    });
  }

  // Forms of all loads, where invocations take `lanes` elements, of one row or not.
  [[nodiscard]] std::vector<LoadForm> forms(uint32_t lanes, bool row) const {
    std::vector<LoadForm> out(program.nodes.size(), LoadForm::kAny);
    const auto last = static_cast<uint32_t>(program.domain.size() - 1);
    for (size_t id = 0; id < program.nodes.size(); ++id) {
      const ExprNode& node = program.nodes[id];
      if (!facts[id].reachable || !is_load(node.op) || facts[id].loops != 0) continue;
      const Affine at = flat_index(program, node, affine);
      const uint32_t varying = row ? 1u << last : ~0u;
      if (is_flat(at)) {
        out[id] = LoadForm::kFlat;
      } else if ((facts[id].axes & varying) == 0) {
        out[id] = LoadForm::kSplat;
      } else if (row && is_row(at, last, lanes)) {
        out[id] = LoadForm::kRow;
      }
    }
    return out;
  }
};

bool is_vector(LoadForm form) { return form == LoadForm::kFlat || form == LoadForm::kRow; }

}  // namespace

std::vector<NodeFacts> facts_of(const ExprProgram& program) {
  std::vector<NodeFacts> facts(program.nodes.size());
  // A loop's variable is data where its extent is; the extents of all reductions are known first.
  std::vector<bool> data_loop(program.loops, false);
  for (int round = 0; round < 2; ++round) {
    for (size_t id = 0; id < program.nodes.size(); ++id) {
      const ExprNode& node = program.nodes[id];
      NodeFacts& f = facts[id];
      f = {};
      for (const Expr arg : node.args) {
        f.from_data |= facts[arg.id].from_data;
        f.loops |= facts[arg.id].loops;
        f.axes |= facts[arg.id].axes;
      }
      if (node.op == ExprOp::kIndex) f.axes |= 1u << (node.slot & 31);
      if (is_load(node.op)) f.from_data = true;
      if (node.op == ExprOp::kLoop) {
        f.loops = uint64_t{1} << (node.slot & 63);
        f.from_data = data_loop[node.slot];
      }
      if (is_reduction(node.op)) {
        f.loops = facts[node.args[0].id].loops |
                  (facts[node.args[1].id].loops & ~(uint64_t{1} << (node.slot & 63)));
        if (facts[node.args[0].id].from_data) data_loop[node.slot] = true;
      }
    }
  }
  for (const ExprOutput& output : program.outputs) facts[output.value.id].reachable = true;
  for (size_t id = program.nodes.size(); id-- > 0;) {
    if (!facts[id].reachable) continue;
    for (const Expr arg : program.nodes[id].args) facts[arg.id].reachable = true;
  }
  return facts;
}

LanePlan lanes_of(const ExprProgram& program, const std::vector<NodeFacts>& facts) {
  LanePlan plan;
  size_t reachable = 0;
  for (size_t id = 0; id < program.nodes.size(); ++id) {
    if (!facts[id].reachable) continue;
    ++reachable;
    plan.has_loops |= is_reduction(program.nodes[id].op);
  }
  for (const ExprOutput& output : program.outputs) {
    const int bits = bit_width(output.dtype);
    plan.lanes = std::max(plan.lanes, static_cast<uint32_t>(bits < 32 ? 32 / bits : 1));
  }
  Classifier classifier{program, facts, {}, {}};
  for (const ExprNode& node : program.nodes) {
    classifier.affine.push_back(affine_of(node, classifier.affine));
  }
  Polynomial stride = number(1);
  classifier.strides.resize(program.domain.size());
  for (size_t a = program.domain.size(); a-- > 0;) {
    classifier.strides[a] = stride;
    stride = product(stride, polynomial(program.domain[a]));
  }

  const auto row_of = [&](uint32_t lanes) {
    if (program.domain.size() < 2 || lanes == 1) return false;
    const Extent& last = program.domain.back();
    return last.baked() ? last.value > 0 && last.value % lanes == 0 : last.multiple % lanes == 0;
  };
  if (!plan.has_loops && !program.domain.empty() && reachable <= kMaxVectorNodes) {
    // Four lanes where that makes loads or the store contiguous vectors; two of 64-bit types.
    bool wide = true;
    for (const ExprOutput& output : program.outputs) wide = wide && bit_width(output.dtype) == 64;
    const uint32_t lanes = std::max(plan.lanes, wide ? 2u : 4u);
    const bool row = row_of(lanes);
    std::vector<LoadForm> forms = classifier.forms(lanes, row);
    bool has_load = false;
    bool has_vector = false;
    for (size_t id = 0; id < forms.size(); ++id) {
      has_load |= facts[id].reachable && is_load(program.nodes[id].op);
      has_vector |= is_vector(forms[id]);
    }
    if (has_vector || !has_load) {
      plan.lanes = lanes;
      plan.row = row;
      plan.loads = std::move(forms);
      return plan;
    }
  }
  plan.row = !plan.has_loops && row_of(plan.lanes);
  plan.loads = classifier.forms(plan.lanes, plan.row);
  return plan;
}

TilePlan tile_of(const ExprProgram& program, const std::vector<NodeFacts>& facts,
                 const Target& target) {
  constexpr uint32_t kInvocations = kTransposeTile * kTransposeTile / 4;
  constexpr int64_t kFew = 8;
  const size_t rank = program.domain.size();
  if (rank < 2 || target.max_invocations < kInvocations) return {};
  const auto is_few = [&](size_t axis) {
    return program.domain[axis].baked() && program.domain[axis].value < kFew;
  };
  const auto last = static_cast<uint32_t>(rank - 1);
  for (const ExprOutput& output : program.outputs) {
    if (bit_width(output.dtype) != 32) return {};
  }
  std::vector<Affine> affine;
  for (const ExprNode& node : program.nodes) affine.push_back(affine_of(node, affine));
  TilePlan plan;
  for (uint32_t id = 0; id < program.nodes.size(); ++id) {
    const ExprNode& node = program.nodes[id];
    if (!facts[id].reachable) continue;
    if (is_reduction(node.op)) return {};
    if (!is_load(node.op)) continue;
    const Affine at = flat_index(program, node, affine);
    if (!at.known) continue;
    const auto along_last = at.coefficients.find(last);
    if (along_last == at.coefficients.end() || along_last->second == number(1)) continue;
    for (const auto& [axis, c] : at.coefficients) {
      if (axis == last || c != number(1) || is_few(axis) || is_few(last)) continue;
      if (plan.used()) return {};  // two such loads: rare
      plan = {id, axis};
    }
  }
  return plan;
}

bool is_shared(const ExprProgram& program, const std::vector<NodeFacts>& facts,
               const ExprSchedule& schedule) {
  if (!schedule.workgroup_reduce || schedule.workgroup_size < 2) return false;
  for (size_t id = 0; id < facts.size(); ++id) {
    if (facts[id].reachable && facts[id].loops == 0 && is_reduction(program.nodes[id].op)) {
      return true;
    }
  }
  return false;
}

}  // namespace quern
