// What control flow needs to know of a graph: loops by their frames, and the conditions that nodes
// are computed under.
#include <algorithm>

#include "import/tensorflow/scope.h"

namespace quern::tensorflow {
namespace {

std::string_view frame_of(const NodeDef& enter) {
  const auto found = enter.attributes.find("frame_name");
  if (found == enter.attributes.end() || !found->second.s) return {};
  return *found->second.s;
}

}  // namespace

bool is_op(const NodeDef* node, std::string_view name) {
  if (node == nullptr) return false;
  std::string_view op = node->op;
  if (op.starts_with("Ref")) op.remove_prefix(3);
  return op == name;
}

Nodes::Nodes(const std::vector<NodeDef>& nodes, const FunctionDef* of) : list(nodes), function(of) {
  for (const NodeDef& node : list) by_name.emplace(node.name, &node);
  find_loops();
  find_conditions();
}

const NodeDef* Nodes::find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

void Nodes::find_loops() {
  const auto input = [&](const NodeDef& node, size_t i) {
    return i < node.inputs.size() ? find(parse_input(node.inputs[i]).node) : nullptr;
  };
  for (const NodeDef& node : list) {
    if (!is_op(&node, "Merge")) continue;
    const NodeDef* enter = nullptr;
    bool repeats = false;
    for (size_t i = 0; i < 2; ++i) {
      const NodeDef* from = input(node, i);
      if (is_op(from, "Enter")) enter = from;
      repeats = repeats || is_op(from, "NextIteration");
    }
    if (enter == nullptr || !repeats) continue;
    const std::string frame(frame_of(*enter));
    loops[frame].variables.push_back(&node);
    loop_of[&node] = frame;
  }
  for (const NodeDef& node : list) {
    if (!is_op(&node, "Switch")) continue;
    const auto variable = loop_of.find(input(node, 0));
    const NodeDef* condition = input(node, 1);
    if (variable == loop_of.end() || !is_op(condition, "LoopCond")) continue;
    const std::string frame = variable->second;
    loops[frame].condition = condition;
    loop_of[&node] = frame;
  }
  for (const NodeDef& node : list) {
    if (!is_op(&node, "Exit")) continue;
    const auto variable = loop_of.find(input(node, 0));
    if (variable != loop_of.end()) loop_of[&node] = std::string(variable->second);
  }
}

Nodes::Conditions Nodes::conditions_of(std::string_view text) const {
  const InputName name = parse_input(text);
  const NodeDef* node = find(name.node);
  const auto found = conditions.find(node);
  if (found == conditions.end()) return {};
  Conditions out = found->second;
  if (is_op(node, "Switch") && !loop_of.contains(node) && node->inputs.size() > 1) {
    const size_t index = name.output == "output_true" ? 1 : name.index;
    out.insert({std::string_view(node->inputs[1]), index == 1});
  }
  return out;
}

void Nodes::find_conditions() {
  const bool any = std::ranges::any_of(list, [&](const NodeDef& node) {
    return is_op(&node, "Switch") && !loop_of.contains(&node);
  });
  if (!any) return;
  // In topological order, as far as there is one; NextIteration closes loops and is no edge.
  std::vector<std::pair<const NodeDef*, size_t>> stack;
  std::unordered_map<const NodeDef*, bool> entered;
  for (const NodeDef& start : list) {
    if (entered.contains(&start)) continue;
    stack.emplace_back(&start, 0);
    entered[&start] = true;
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      if (next < node->inputs.size()) {
        const NodeDef* from = find(parse_input(node->inputs[next++]).node);
        if (from == nullptr || is_op(from, "NextIteration") || entered.contains(from)) continue;
        entered[from] = true;
        stack.emplace_back(from, 0);
        continue;
      }
      const NodeDef* done = node;
      stack.pop_back();
      Conditions all;
      std::vector<Conditions> sides;
      for (const std::string& text : done->inputs) {
        const InputName name = parse_input(text);
        // A control input on a Switch itself says nothing of the side.
        Conditions from = name.is_control ? Conditions{} : conditions_of(text);
        if (name.is_control) {
          const auto held = conditions.find(find(name.node));
          if (held != conditions.end()) from = held->second;
        }
        if (!name.is_control) sides.push_back(from);
        all.insert(from.begin(), from.end());
      }
      if (is_op(done, "Merge") && !loop_of.contains(done) && sides.size() == 2) {
        // The predicate that one input is under on one side, and the other on the other: the
        // innermost is the one that all other conditions come with.
        for (const auto& [predicate, side] : sides[0]) {
          if (!sides[1].contains({predicate, !side})) continue;
          joins[done] = {predicate, side ? size_t{0} : size_t{1}, side ? size_t{1} : size_t{0}};
          break;
        }
        if (!joins.contains(done)) {
          // One of them may be under no condition but that of a control input that is gone.
          for (size_t i = 0; i < 2 && !joins.contains(done); ++i) {
            for (const auto& [predicate, side] : sides[i]) {
              if (sides[1 - i].contains({predicate, side})) continue;
              const size_t when_true = side ? i : 1 - i;
              joins[done] = {predicate, when_true, 1 - when_true};
            }
          }
        }
        const auto join = joins.find(done);
        if (join != joins.end()) {
          all.erase({join->second.predicate, true});
          all.erase({join->second.predicate, false});
        }
      }
      conditions[done] = std::move(all);
    }
  }
}

}  // namespace quern::tensorflow
