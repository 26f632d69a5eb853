#include "import/saved_model/variables.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace quern::saved_model {
namespace {

using tensorflow::FunctionDef;
using tensorflow::GraphDef;
using tensorflow::InputName;
using tensorflow::NodeDef;
using tensorflow::parse_input;
using tensorflow::Port;

constexpr int kMostLevels = 32;
constexpr size_t kMostSteps = 1'000'000;

bool is_variable(const NodeDef& node) {
  return node.op == "VarHandleOp" || node.op == "VariableV2" || node.op == "Variable";
}

bool is_call(const NodeDef& node) {
  return node.op == "PartitionedCall" || node.op == "StatefulPartitionedCall";
}

/// Operators that pass on what they are given.
bool is_passage(const NodeDef& node) {
  return node.op == "Identity" || node.op == "Enter" || node.op == "RefEnter" ||
         node.op == "RefIdentity";
}

bool changes_variable(std::string_view op) {
  const bool is_scatter = op.starts_with("Scatter") && op != "ScatterNd";
  return is_scatter || op.starts_with("Assign") || op.starts_with("Apply") ||
         op.starts_with("ResourceScatter") || op.starts_with("ResourceApply");
}

const std::string* text_of(const NodeDef& node, std::string_view attribute) {
  const auto found = node.attributes.find(attribute);
  return found != node.attributes.end() && found->second.s ? &*found->second.s : nullptr;
}

using ByName = std::unordered_map<std::string_view, const NodeDef*>;

ByName by_name(const std::vector<NodeDef>& nodes) {
  ByName out;
  for (const NodeDef& node : nodes) out.emplace(node.name, &node);
  return out;
}

/// The nodes of the main graph, or of one call of a function.
struct Level {
  ByName nodes;
  /// The variables that arguments stand for, by the names of both.
  std::map<std::string_view, std::string_view> handles;
  int depth = 0;
};

/// Where a value comes from, past operators that only pass it on; null for arguments.
const NodeDef* source_of(const Level& level, std::string_view input, InputName& name) {
  for (int steps = 0; steps < 64; ++steps) {
    name = parse_input(input);
    const auto found = level.nodes.find(name.node);
    if (found == level.nodes.end()) return nullptr;
    const NodeDef* node = found->second;
    if (!is_passage(*node) || node->inputs.empty()) return node;
    input = node->inputs[0];
  }
  return nullptr;
}

/// The name of the main graph's variable that an input is a handle of; "" where it is none.
std::string_view variable_of(const Level& level, std::string_view input) {
  InputName name;
  const NodeDef* node = source_of(level, input, name);
  if (node == nullptr) {
    const auto handle = level.handles.find(name.node);
    return handle == level.handles.end() ? std::string_view() : handle->second;
  }
  return level.depth == 0 && is_variable(*node) ? std::string_view(node->name) : std::string_view();
}

class Restores {
 public:
  explicit Restores(const GraphDef& graph) : graph_(graph) {}

  Keys find() {
    visit(graph_.nodes, {by_name(graph_.nodes), {}, 0});
    return std::move(keys_);
  }

 private:
  void visit(const std::vector<NodeDef>& nodes, const Level& level) {
    for (const NodeDef& node : nodes) {
      if (++steps_ > kMostSteps) return;
      if ((node.op == "AssignVariableOp" || node.op == "Assign") && node.inputs.size() >= 2) {
        const std::string_view variable = variable_of(level, node.inputs[0]);
        const std::string* key = restored(level, node.inputs[1]);
        if (!variable.empty() && key != nullptr) keys_.emplace(variable, *key);
      } else if (is_call(node)) {
        call(node, level);
      }
    }
  }

  void call(const NodeDef& node, const Level& level) {
    const std::string* f = text_of(node, "f");
    if (f == nullptr || level.depth >= kMostLevels) return;
    const auto function = graph_.functions.find(*f);
    if (function == graph_.functions.end()) return;
    const FunctionDef& body = function->second;
    Level inner;
    inner.depth = level.depth + 1;
    for (size_t i = 0; i < node.inputs.size() && i < body.inputs.size(); ++i) {
      const std::string_view variable = variable_of(level, node.inputs[i]);
      if (!variable.empty()) inner.handles[body.inputs[i].name] = variable;
    }
    // Where no variable is passed none is restored.
    if (inner.handles.empty()) return;
    inner.nodes = by_name(body.nodes);
    visit(body.nodes, inner);
  }

  /// The key of what RestoreV2 gave.
  const std::string* restored(const Level& level, std::string_view input) {
    InputName name;
    const NodeDef* node = source_of(level, input, name);
    if (node == nullptr || node->op != "RestoreV2" || node->inputs.size() < 2) return nullptr;
    InputName list;
    const NodeDef* names = source_of(level, node->inputs[1], list);
    if (names == nullptr || names->op != "Const") return nullptr;
    const auto value = names->attributes.find("value");
    if (value == names->attributes.end() || !value->second.tensor || !value->second.tensor->host) {
      return nullptr;
    }
    const std::vector<std::string>& keys = value->second.tensor->host->strings;
    return name.index < keys.size() ? &keys[name.index] : nullptr;
  }

  const GraphDef& graph_;
  Keys keys_;
  size_t steps_ = 0;
};

/// The keys of the SavedModel's objects: objects of both graphs are the same where they are reached
/// from the roots by the same names.
std::map<size_t, std::string_view> keys_of_objects(const ObjectGraph& saved,
                                                   const ObjectGraph& stored) {
  std::map<size_t, std::string_view> out;
  if (saved.nodes.empty() || stored.nodes.empty()) return out;
  std::vector<std::pair<size_t, size_t>> open = {{0, 0}};
  std::set<size_t> seen = {0};
  while (!open.empty()) {
    const auto [here, there] = open.back();
    open.pop_back();
    if (!stored.nodes[there].checkpoint_key.empty()) {
      out.emplace(here, stored.nodes[there].checkpoint_key);
    }
    for (const auto& [name, child] : saved.nodes[here].children) {
      const auto other = stored.nodes[there].children.find(name);
      if (other == stored.nodes[there].children.end()) continue;
      if (child >= saved.nodes.size() || other->second >= stored.nodes.size()) continue;
      if (seen.insert(child).second) open.emplace_back(child, other->second);
    }
  }
  return out;
}

}  // namespace

Result<std::vector<Variable>> needed_variables(GraphDef& graph, const std::vector<Port>& outputs) {
  std::unordered_map<std::string_view, NodeDef*> nodes;
  for (NodeDef& node : graph.nodes) nodes.emplace(node.name, &node);
  std::vector<Variable> out;
  std::vector<Variable> open;
  std::set<const NodeDef*> seen;
  std::set<std::string_view> functions;
  const auto visit = [&](std::string_view input) {
    const auto found = nodes.find(parse_input(input).node);
    if (found != nodes.end() && seen.insert(found->second).second) {
      open.push_back({found->second, true});
    }
  };
  for (const Port& port : outputs) visit(port.tensor);
  while (!open.empty()) {
    const auto [node, is_main] = open.back();
    open.pop_back();
    if (is_variable(*node)) out.push_back({node, is_main});
    if (changes_variable(node->op)) {
      return unsupported(cat("node '", node->name, "' (", node->op,
                             ") changes a variable: models whose variables change are not read"));
    }
    // Functions' own inputs are among their nodes, which are all visited.
    if (is_main) {
      for (const std::string& input : node->inputs) visit(input);
    }
    for (const std::string_view name : tensorflow::function_names(*node)) {
      const auto function = graph.functions.find(name);
      if (function == graph.functions.end() || !functions.insert(function->first).second) continue;
      for (NodeDef& inner : function->second.nodes) open.push_back({&inner, false});
    }
  }
  return out;
}

Keys restored_keys(const GraphDef& graph) { return Restores(graph).find(); }

Keys object_keys(const GraphDef& graph, const ObjectGraph& saved, const ObjectGraph& stored) {
  const std::map<size_t, std::string_view> keys = keys_of_objects(saved, stored);
  Keys out;
  const Level level = {by_name(graph.nodes), {}, 0};
  for (const NodeDef& node : graph.nodes) {
    const std::string* f = is_call(node) ? text_of(node, "f") : nullptr;
    const auto bound = f != nullptr ? saved.bound_inputs.find(*f) : saved.bound_inputs.end();
    if (bound == saved.bound_inputs.end()) continue;
    std::vector<std::string_view> inputs;
    for (const std::string& input : node.inputs) {
      if (!input.starts_with('^')) inputs.emplace_back(input);
    }
    const std::vector<size_t>& objects = bound->second;
    if (objects.size() > inputs.size()) continue;
    for (size_t i = 0; i < objects.size(); ++i) {
      const auto key = keys.find(objects[i]);
      const std::string_view variable =
          variable_of(level, inputs[inputs.size() - objects.size() + i]);
      if (key != keys.end() && !variable.empty()) out.emplace(variable, key->second);
    }
  }
  // Names, of those that only one variable has.
  std::map<std::string_view, std::string_view> named;
  for (const auto& [object, key] : keys) {
    if (object >= saved.nodes.size() || !saved.nodes[object].is_variable) continue;
    const auto [place, is_new] = named.emplace(saved.nodes[object].name, key);
    if (!is_new) place->second = {};
  }
  for (const NodeDef& node : graph.nodes) {
    if (!is_variable(node)) continue;
    const std::string* shared = text_of(node, "shared_name");
    const auto found = named.find(shared != nullptr && !shared->empty() ? *shared : node.name);
    if (found != named.end() && !found->second.empty()) out.emplace(node.name, found->second);
  }
  return out;
}

void bind_variables(const std::vector<Variable>& variables, const Keys& restored,
                    const Keys& objects, const Checkpoint& checkpoint) {
  for (const auto& [node, is_main] : variables) {
    const std::string* shared = text_of(*node, "shared_name");
    const std::string name = shared != nullptr && !shared->empty() ? *shared : node->name;
    std::vector<std::string> keys;
    for (const Keys* known : {&restored, &objects}) {
      const auto found = known->find(node->name);
      if (is_main && found != known->end()) keys.push_back(found->second);
    }
    for (const std::string& one : {name, node->name}) {
      keys.push_back(one);
      keys.push_back(cat(one, "/.ATTRIBUTES/VARIABLE_VALUE"));
    }
    const auto held = std::ranges::find_if(
        keys, [&](const std::string& key) { return checkpoint.find(key) != nullptr; });
    tensorflow::Attribute key;
    key.s = held == keys.end() ? keys.front() : *held;
    node->op = "Const";
    node->attributes.insert_or_assign(std::string(kVariableKey), std::move(key));
  }
}

}  // namespace quern::saved_model
