// Elementwise and movement operators join what consumes them: one kernel, no tensor between.
//
// Nodes are taken against their order. A node joins the group of its consumers if all of them are
// in one group, and each reads every element of it at most once (so nothing is computed twice).
// Since all uses lie in the group, groups are convex. A group may hold one anchor: a node with a
// hand-written kernel, whose epilogue the rest of the group becomes.

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "ir/complex.h"
#include "ops/op_def.h"
#include "passes/passes.h"
#include "passes/placement.h"

namespace quern {
namespace {

constexpr size_t kMaxGroupNodes = 48;

constexpr auto kMovements =
    std::to_array<std::string_view>({"Transpose", "Slice", "Expand", "Gather", "GatherElements",
                                     "Pad", "Concat", "Tile", "DepthToSpace", "SpaceToDepth"});
/// Movements that read each element of their inputs at most once.
constexpr auto kReadOnce = std::to_array<std::string_view>(
    {"Transpose", "Slice", "Concat", "DepthToSpace", "SpaceToDepth"});
constexpr auto kReductions = std::to_array<std::string_view>(
    {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
     "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp", "GlobalAveragePool", "GlobalMaxPool"});

bool is_in(const Node& node, std::span<const std::string_view> names) {
  return node.domain.empty() && std::ranges::find(names, node.op) != names.end();
}

bool same_shape(const Value& a, const Value& b) {
  return a.type.shape && b.type.shape && *a.type.shape == *b.type.shape;
}

bool is_scalar_constant(const Value& v) {
  return v.constant && v.constant->is_inline() && v.constant->host.count() == 1 &&
         v.constant->dtype != DType::kString;
}

struct Group {
  Node* root = nullptr;
  std::vector<Node*> nodes;  // in reverse order
  Node* anchor = nullptr;
};

class Fuser {
 public:
  Fuser(Graph& graph, const Placement& placement, const std::set<const Value*>& results,
        uint32_t budget, PassReport& report)
      : graph_(graph), placement_(placement), results_(results), budget_(budget), report_(report) {}

  Result<void> run() {
    for (const auto& node : graph_.nodes()) {
      for (Graph* body : node->subgraphs()) {
        QUERN_TRY(Fuser(*body, placement_, results_, budget_, report_).run());
      }
    }
    for (size_t i = graph_.nodes().size(); i-- > 0;) {
      Node& node = *graph_.nodes()[i];
      if (!is_candidate(node)) continue;
      if (!join(node)) start(node);
    }
    for (Group& group : groups_) {
      if (group.nodes.size() > 1) QUERN_TRY(build(group));
    }
    return {};
  }

 private:
  bool is_candidate(const Node& node) const {
    const OpDef* def = find_op(node);
    if (def == nullptr || placement_.host_node[node.id] || def->is_random) return false;
    if (has_complex(node)) return false;
    // Outputs that a definition makes beside the first are not composed.
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const Value* v = node.outputs[i];
      if (v == nullptr) continue;
      if (i > 0 && (!v->uses.empty() || results_.contains(v))) return false;
      if (i > 0) return false;
      if (!v->type.shape || v->type.kind != Type::Kind::kTensor) return false;
      if (placement_.constant[v->id] || placement_.host_needed[v->id]) return false;
    }
    if (node.outputs.size() != 1 || bit_width(node.outputs[0]->type.dtype) < 8) return false;
    for (const Value* v : node.inputs) {
      if (v != nullptr && (!v->type.shape || bit_width(v->type.dtype) < 8)) return false;
    }
    if (is_anchor(node)) return true;
    if (def->expr == nullptr || def->lower != nullptr || def->is_view) return false;
    if (!def->is_elementwise && !is_in(node, kMovements) && !is_in(node, kReductions)) return false;
    // Shape operands must be constants: a fusion sees no host values.
    for (size_t i = 0; i < node.inputs.size() && i < 32; ++i) {
      const Value* v = node.inputs[i];
      if ((def->host_inputs >> i & 1) == 0 || v == nullptr) continue;
      if (!v->constant || !v->constant->is_inline()) return false;
    }
    return true;
  }

  static bool is_anchor(const Node& node) {
    const OpDef* def = find_op(node);
    const DType type = node.outputs[0]->type.dtype;
    return def->takes_epilogue &&
           ((is_float(type) && bit_width(type) <= 32) || type == DType::kI32);
  }
  static bool is_elementwise(const Node& node) {
    const OpDef* def = find_op(node);
    return def->is_elementwise;
  }

  void start(Node& node) {
    // An anchor alone, or a reduction or movement alone, may still take producers.
    Group group;
    group.root = &node;
    group.nodes.push_back(&node);
    if (is_anchor(node)) group.anchor = &node;
    group_of_[&node] = groups_.size();
    groups_.push_back(std::move(group));
  }

  /// Does the consumer read each element of `value` at most once, without reducing?
  static bool reads_once(const Node& consumer, const Value& value) {
    if (is_elementwise(consumer)) return same_shape(value, *consumer.outputs[0]);
    if (is_in(consumer, kReductions)) return consumer.inputs[0] == &value;
    if (is_in(consumer, kReadOnce)) {
      // Data only, not an operand.
      const OpDef* def = find_op(consumer);
      for (size_t i = 0; i < consumer.inputs.size(); ++i) {
        if (consumer.inputs[i] == &value && i < 32 && (def->host_inputs >> i & 1) != 0)
          return false;
      }
      return true;
    }
    return false;
  }

  /// Is every node from `node` to the root elementwise over the root's shape?
  bool reaches_root_in_place(const Node& node, const Group& group) const {
    if (!same_shape(*node.outputs[0], *group.root->outputs[0])) return false;
    if (&node != group.root && !is_elementwise(node) && !is_anchor(node)) return false;
    if (&node == group.root) return is_elementwise(node);
    return std::ranges::all_of(node.outputs[0]->uses, [&](const Use& use) {
      return is_elementwise(*use.node) && reaches_root_in_place(*use.node, group);
    });
  }

  bool join(Node& node) {
    Value& out = *node.outputs[0];
    if (results_.contains(&out) || out.uses.empty()) return false;
    size_t target = SIZE_MAX;
    for (const Use& use : out.uses) {
      auto it = group_of_.find(use.node);
      if (it == group_of_.end()) return false;
      if (target != SIZE_MAX && it->second != target) return false;
      target = it->second;
    }
    Group& group = groups_[target];
    if (group.nodes.size() >= kMaxGroupNodes) return false;
    const bool anchor = is_anchor(node);
    if (anchor && group.anchor != nullptr) return false;
    for (const Use& use : out.uses) {
      if (is_anchor(*use.node)) return false;  // an anchor reads its inputs from memory
      if (!reads_once(*use.node, out)) return false;
    }
    if (is_in(node, kReductions)) return false;  // a reduction is a root
    if (anchor && !reaches_root_in_place(node, group)) return false;
    group.nodes.push_back(&node);
    if (outer_inputs(group).size() + group.root->outputs.size() > budget_) {
      group.nodes.pop_back();
      return false;
    }
    if (anchor) group.anchor = &node;
    group_of_[&node] = target;
    return true;
  }

  /// What the group reads from memory, in order of first use.
  std::vector<Value*> outer_inputs(const Group& group) const {
    const std::set<const Node*> inside(group.nodes.begin(), group.nodes.end());
    std::vector<Value*> out;
    for (auto it = group.nodes.rbegin(); it != group.nodes.rend(); ++it) {
      const OpDef* def = find_op(**it);
      for (size_t i = 0; i < (*it)->inputs.size(); ++i) {
        Value* v = (*it)->inputs[i];
        if (v == nullptr || (v->producer != nullptr && inside.contains(v->producer))) continue;
        if (is_body_constant(*def, i, *v, *it == group.anchor)) continue;
        if (std::ranges::find(out, v) == out.end()) out.push_back(v);
      }
    }
    return out;
  }

  /// Operands, and numbers of elementwise nodes, become part of the code.
  static bool is_body_constant(const OpDef& def, size_t input, const Value& v, bool anchor) {
    if (input < 32 && (def.host_inputs >> input & 1) != 0) return true;
    return !anchor && is_scalar_constant(v) && def.is_elementwise;
  }

  Result<void> build(Group& group) {
    std::vector<Value*> outer = outer_inputs(group);
    auto body = std::make_shared<Graph>(&graph_);
    body->name = "fused";
    std::map<const Value*, Value*> mapped;
    for (Value* v : outer) {
      mapped[v] = body->add_input(v->name, v->type);
    }
    for (auto it = group.nodes.rbegin(); it != group.nodes.rend(); ++it) {
      Node& node = **it;
      const OpDef* def = find_op(node);
      std::vector<Value*> inputs;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        Value* v = node.inputs[i];
        if (v != nullptr && is_body_constant(*def, i, *v, &node == group.anchor)) {
          inputs.push_back(body->add_constant(v->name, v->constant));
          inputs.back()->type = v->type;
          inputs.back()->contents = v->contents;
          continue;
        }
        inputs.push_back(v == nullptr ? nullptr : mapped.at(v));
      }
      Node* copy = body->add_node(node.op, std::move(inputs), node.outputs.size(), nullptr,
                                  node.domain, node.version);
      copy->name = node.name;
      copy->attributes = node.attributes;
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        copy->outputs[i]->name = node.outputs[i]->name;
        copy->outputs[i]->type = node.outputs[i]->type;
        mapped[node.outputs[i]] = copy->outputs[i];
      }
    }
    body->outputs.push_back(mapped.at(group.root->outputs[0]));
    Node* fused = graph_.add_node("Fused", std::move(outer), 1, group.root, "quern", 1);
    fused->name = (group.anchor != nullptr ? group.anchor : group.root)->name;
    fused->attributes["body"] = std::move(body);
    Value* result = fused->outputs[0];
    result->name = group.root->outputs[0]->name;
    result->type = group.root->outputs[0]->type;
    graph_.replace_uses(group.root->outputs[0], result);
    report_.hits["fused nodes"] += static_cast<int>(group.nodes.size());
    ++report_.hits["fusions"];
    for (Node* node : group.nodes)
      graph_.erase(node);  // the root first: consumers before producers
    return {};
  }

  Graph& graph_;
  const Placement& placement_;
  const std::set<const Value*>& results_;
  uint32_t budget_;
  PassReport& report_;
  std::vector<Group> groups_;
  std::map<const Node*, size_t> group_of_;
};

}  // namespace

Result<void> fuse(Graph& graph, uint32_t max_storage_buffers, PassReport& report) {
  const Placement placement = place(graph);
  const std::set<const Value*> results = body_outputs(graph);
  return Fuser(graph, placement, results, max_storage_buffers, report).run();
}

}  // namespace quern
