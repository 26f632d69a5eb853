#include <algorithm>

#include "import/tensorflow/scope.h"

namespace quern::tensorflow {
namespace {

constexpr size_t kMostSteps = 1'000'000;
/// Bounded by the stack that a WebAssembly module has.
constexpr int kMostLevels = 256;

std::vector<std::string_view> data_inputs(const NodeDef& node) {
  std::vector<std::string_view> out;
  for (const std::string& input : node.inputs) {
    if (!input.starts_with('^')) out.emplace_back(input);
  }
  return out;
}

bool is_function_call(std::string_view op) {
  return op == "PartitionedCall" || op == "StatefulPartitionedCall";
}

}  // namespace

Scope& Translator::home(Scope& scope, const NodeDef& node) {
  Scope* at = &scope;
  while (at->outer != nullptr) {
    if (node.op == "Const") {
      at = at->outer;
      continue;
    }
    if (at->is_branch) {
      const auto found = at->nodes->conditions.find(&node);
      const bool own =
          found != at->nodes->conditions.end() && found->second.contains({at->predicate, at->side});
      if (own) break;
      at = at->outer;
      continue;
    }
    if (at->frame != nullptr && is_op(&node, "Enter")) {
      const auto frame = node.attributes.find("frame_name");
      if (frame != node.attributes.end() && frame->second.s == *at->frame) {
        at = at->outer;
        continue;
      }
    }
    break;
  }
  return *at;
}

const std::vector<Tensor>* Translator::find(Scope& scope, const NodeDef* node) {
  Scope& at = home(scope, *node);
  const auto found = at.values.find(node);
  return found == at.values.end() ? nullptr : &found->second;
}

std::vector<std::string_view> Translator::needs(Scope& scope, const NodeDef& node) {
  const Nodes& nodes = *scope.nodes;
  if (is_op(&node, "Merge")) {
    const auto join = nodes.joins.find(&node);
    if (join != nodes.joins.end()) return {join->second.predicate};
    return {};
  }
  if (is_op(&node, "Exit")) {
    std::vector<std::string_view> out;
    const auto frame = nodes.loop_of.find(&node);
    if (frame == nodes.loop_of.end()) return out;
    for (const NodeDef* variable : nodes.loops.find(frame->second)->second.variables) {
      for (const std::string& input : variable->inputs) {
        if (is_op(nodes.find(parse_input(input).node), "Enter")) out.emplace_back(input);
      }
    }
    return out;
  }
  return data_inputs(node);
}

void Translator::require(Scope& scope, const NodeDef* wanted) {
  // A loop whose condition needs its own result comes back here for ever.
  if (levels_ >= kMostLevels) {
    return scope.b->fail(ErrorCode::kLimit,
                         cat("node '", wanted->name, "' (", wanted->op,
                             "): control flow that needs itself, or is nested too deep"));
  }
  struct Level {
    int& count;
    ~Level() { --count; }
  } const level{++levels_};
  struct Entry {
    Scope* scope;
    const NodeDef* node;
    bool expanded;
  };
  std::vector<Entry> stack = {{&scope, wanted, false}};
  std::set<std::pair<Scope*, const NodeDef*>> open;
  while (!stack.empty()) {
    if (scope.b->failed() || root_.failed()) return;
    Entry& top = stack.back();
    Scope& at = home(*top.scope, *top.node);
    const NodeDef& node = *top.node;
    if (at.values.contains(&node)) {
      open.erase({&at, &node});
      stack.pop_back();
      continue;
    }
    if (top.expanded) {
      translate(at, node);
      if (at.b->failed()) {
        if (at.b != scope.b) scope.b->adopt(*at.b);
        return;
      }
      open.erase({&at, &node});
      stack.pop_back();
      continue;
    }
    top.expanded = true;
    open.insert({&at, &node});
    for (const std::string_view input : needs(at, node)) {
      const InputName name = parse_input(input);
      if (at.arguments.contains(name.node)) continue;
      const NodeDef* from = at.nodes->find(name.node);
      if (from == nullptr) {
        return scope.b->invalid(
            cat("node '", node.name, "' (", node.op, "): its input '", input, "' is no node"));
      }
      Scope& other = home(at, *from);
      if (other.values.contains(from)) continue;
      if (open.contains({&other, from})) {
        return scope.b->invalid(cat("node '", node.name, "' (", node.op, ") is part of a cycle"));
      }
      stack.push_back({&at, from, false});
    }
  }
}

Tensor Translator::value(Scope& scope, std::string_view input) {
  const InputName name = parse_input(input);
  const auto argument = scope.arguments.find(name.node);
  if (argument != scope.arguments.end()) return argument->second;
  if (scope.outer != nullptr && scope.nodes->find(name.node) == nullptr) {
    return value(*scope.outer, input);
  }
  const NodeDef* node = scope.nodes->find(name.node);
  if (node == nullptr) {
    scope.b->invalid(cat("'", input, "' is no node"));
    return {};
  }
  require(scope, node);
  const std::vector<Tensor>* values = find(scope, node);
  const size_t index = name.output.empty() ? name.index : output_index(node->op, name);
  if (values == nullptr || scope.b->failed()) return {};
  if (index < values->size() && (*values)[index]) return (*values)[index];
  scope.b->unsupported(
      cat("node '", node->name, "' (", node->op, "): its output ", index, " is not made"));
  return {};
}

std::vector<Tensor> Translator::inputs(Scope& scope, const NodeDef& node) {
  std::vector<Tensor> out;
  for (const std::string_view input : data_inputs(node)) out.push_back(value(scope, input));
  return out;
}

bool Translator::step(Emitter& b) {
  if (++shared_.steps > kMostSteps) b.fail(ErrorCode::kLimit, "a graph of too many nodes");
  return !b.failed();
}

void Translator::translate(Scope& scope, const NodeDef& node) {
  Emitter& b = *scope.b;
  if (!step(b)) return;
  b.at(cat("node '", node.name, "' (", node.op, ")"));
  b.set_scope(node.name);
  std::string_view op = node.op;
  if (op.starts_with("Ref")) op.remove_prefix(3);
  if (op == "Const") {
    root_.at(cat("node '", node.name, "' (Const)"));
    root_.set_scope(node.name);
    const Tensor constant = source_.constant(root_, node);
    if (root_.failed()) return b.adopt(root_);
    scope.values[&node] = {constant};
    return;
  }
  if (op == "NoOp" || op == "Assert") {
    scope.values[&node] = {};
    return;
  }
  if (op == "Placeholder") return b.invalid("an input that the signature does not name");
  if (op == "Exit") return loop(scope, node);
  if (op == "Merge") return branches(scope, node);
  if (op == "While" || op == "StatelessWhile") return while_call(scope, node);
  if (op == "If" || op == "StatelessIf") return if_call(scope, node);
  if (op == "Case" || op == "StatelessCase") return case_call(scope, node);
  std::vector<Tensor> given = inputs(scope, node);
  if (b.failed()) return;
  if (op == "Switch") {
    if (given.empty()) return b.invalid("it has no input");
    scope.values[&node] = {given[0], given[0]};
    return;
  }
  if (op == "Enter" || op == "NextIteration" || op == "LoopCond") {
    scope.values[&node] = std::move(given);
    return;
  }
  if (is_function_call(op)) {
    const auto f = node.attributes.find("f");
    const std::string name =
        f != node.attributes.end() && f->second.s ? *f->second.s : std::string();
    std::vector<Tensor> results = call(scope, name, given, b);
    scope.values[&node] = std::move(results);
    return;
  }
  const Operator* found = find_operator(op);
  if (found == nullptr || found->translate == nullptr) return b.unsupported("an unknown operator");
  Call c(b, node, std::move(given));
  for (const Tensor& x : c.inputs()) {
    if (x.dtype == DType::kString || x.dtype == DType::kC64 || x.dtype == DType::kC128) {
      return b.unsupported(cat("an operand of type ", name_of(x.dtype)));
    }
  }
  found->translate(c, found->ours);
  if (b.failed()) return;
  for (size_t i = 0; i < c.outputs.size(); ++i) {
    Value* value = c.outputs[i].value;
    if (value == nullptr || !value->name.empty() || value->producer == nullptr) continue;
    value->name = i == 0 ? node.name : cat(node.name, ":", i);
  }
  scope.values[&node] = std::move(c.outputs);
}

const Nodes& Translator::function_nodes(const FunctionDef& function) {
  auto& nodes = functions_[&function];
  if (!nodes) nodes = std::make_unique<Nodes>(function.nodes, &function);
  return *nodes;
}

std::vector<Tensor> Translator::call(Scope& caller, const std::string& name,
                                     const std::vector<Tensor>& arguments, Emitter& b) {
  const auto found = source_.graph.functions.find(name);
  if (found == source_.graph.functions.end()) {
    b.invalid(cat("there is no function '", name, "'"));
    return {};
  }
  const FunctionDef& function = found->second;
  if (arguments.size() != function.inputs.size()) {
    b.invalid(cat("function '", name, "' takes ", function.inputs.size(), " arguments, not ",
                  arguments.size()));
    return {};
  }
  Scope inner;
  inner.nodes = &function_nodes(function);
  inner.b = &b;
  inner.depth = caller.depth + 1;
  if (inner.depth >= kMaxGraphDepth - 2) {
    b.fail(ErrorCode::kLimit, "functions are nested too deep");
    return {};
  }
  for (size_t i = 0; i < arguments.size(); ++i)
    inner.arguments[function.inputs[i].name] = arguments[i];
  std::vector<Tensor> out;
  for (const FunctionArgument& output : function.outputs) {
    const auto result = function.results.find(output.name);
    if (result == function.results.end()) {
      b.invalid(cat("function '", name, "' computes no '", output.name, "'"));
      return {};
    }
    out.push_back(value(inner, result->second));
    if (b.failed()) return {};
  }
  return out;
}

}  // namespace quern::tensorflow
