// Control flow: loops of Enter, Merge, Switch, NextIteration and Exit, branches of Switch and
// Merge, and While, If and Case over functions, as our Loop and If.
#include <algorithm>

#include "import/tensorflow/scope.h"

namespace quern::tensorflow {

Tensor common(Emitter& b, Tensor result, const Tensor& x, const Tensor& y) {
  result.dtype = x.dtype;
  if (x.value != nullptr && !x.value->type.is_tensor()) {
    const auto p = b.element_of(x), q = y.value == nullptr ? std::nullopt : b.element_of(y);
    std::optional<Shape> element;
    const std::optional<Shape>& known = p ? p : q;
    if (known && (!p || !q || p->size() == q->size())) {
      element.emplace();
      for (size_t i = 0; i < known->size(); ++i) {
        const bool same = (!p || !q) || proven_equal((*p)[i], (*q)[i]).value_or(false);
        element->push_back((*known)[i].is_const() && same ? (*known)[i] : b.unknown());
      }
    }
    return b.list_of(result, x.dtype, element);
  }
  if (x.rank != y.rank || x.rank == kUnknownRank) {
    result.rank = kUnknownRank;
    return result;
  }
  const Shape p = b.shape(x), q = b.shape(y);
  Shape dims;
  for (size_t i = 0; i < p.size(); ++i) {
    dims.push_back(p[i].is_const() && q[i].is_const() && p[i] == q[i] ? p[i] : b.unknown());
  }
  return b.shaped(result, dims);
}

void add_output(Emitter& b, const Tensor& x) {
  if (b.failed() || !x) return;
  Value* value = x.value;
  if (value->producer == nullptr || value->graph != &b.graph() || b.graph().is_output(value)) {
    const Tensor same = b.op("Identity", {x}, {}, x.dtype, x.rank);
    same.value->type = value->type;
    value = same.value;
  }
  b.graph().outputs.push_back(value);
}

namespace {

/// A condition as our operators want it.
Tensor as_condition(Emitter& b, const Tensor& x) {
  Tensor y = b.cast(x, DType::kBool);
  if (y.rank != 0) y = b.reshape_ints(y, {});
  return y;
}

/// What a branch gives, for errors.
std::string kind_of(const Tensor& x) {
  return cat(x.value->type.is_tensor() ? "" : "a list of ", name_of(x.dtype));
}

bool nests(Emitter& b, const Graph& graph) {
  if (graph.depth() + 2 < kMaxGraphDepth) return true;
  b.fail(ErrorCode::kLimit, "loops and branches are nested too deep");
  return false;
}

/// A loop's variable as an input of its body.
Tensor body_input(Emitter& b, const Tensor& initial, const std::string& name) {
  Type type = initial.value->type;
  if (type.is_tensor()) {
    // What it is in the first iteration it need not be in others, but for the rank.
    type = Type::tensor(initial.dtype, std::nullopt);
  } else {
    type = Type::container(Type::Kind::kSequence, Type::tensor(initial.dtype, std::nullopt));
  }
  Tensor x = {b.graph().add_input(name, type), initial.dtype, initial.rank};
  if (!type.is_tensor()) return b.list_of(x, initial.dtype, b.element_of(initial));
  return x;
}

/// The Loop node of a body that is filled, with what its variables become.
std::vector<Tensor> finish_loop(Emitter& b, std::shared_ptr<Graph> body, Emitter& inner,
                                const Tensor& first, const std::vector<Tensor>& initial,
                                const Tensor& again, const std::vector<Tensor>& next) {
  add_output(inner, again);
  for (size_t i = 0; i < next.size(); ++i) {
    if (next[i].dtype != initial[i].dtype) inner.invalid("a variable that changes its type");
    add_output(inner, next[i]);
  }
  b.adopt(inner);
  if (b.failed()) return {};
  std::vector<Tensor> inputs = {{}, first};
  inputs.insert(inputs.end(), initial.begin(), initial.end());
  auto results =
      b.ops("Loop", inputs, next.size(), {{"body", std::move(body)}}, DType::kUndefined, 0);
  if (b.failed()) return {};
  for (size_t i = 0; i < next.size(); ++i) {
    results[i].value->type.dtype = initial[i].dtype;
    results[i] = common(b, results[i], initial[i], next[i]);
  }
  return results;
}

/// Is `input` what the loop's variable was?
bool is_invariant(const Nodes& nodes, std::string_view input, const NodeDef* variable) {
  for (int steps = 0; steps < 64; ++steps) {
    const InputName name = parse_input(input);
    const NodeDef* node = nodes.find(name.node);
    if (node == nullptr || node->inputs.empty()) return false;
    if (is_op(node, "Switch")) return nodes.find(parse_input(node->inputs[0]).node) == variable;
    if (!is_op(node, "Identity")) return false;
    input = node->inputs[0];
  }
  return false;
}

/// Does a function give back its argument `i` as its result `i`?
bool returns_argument(const FunctionDef& function, const Nodes& nodes, size_t i) {
  if (i >= function.inputs.size() || i >= function.outputs.size()) return false;
  const auto result = function.results.find(function.outputs[i].name);
  if (result == function.results.end()) return false;
  std::string_view input = result->second;
  for (int steps = 0; steps < 64; ++steps) {
    const InputName name = parse_input(input);
    if (name.node == function.inputs[i].name) return true;
    const NodeDef* node = nodes.find(name.node);
    if (!is_op(node, "Identity") || node->inputs.empty()) return false;
    input = node->inputs[0];
  }
  return false;
}

/// How many nodes an If counts as: functions that call each other's branches make very many of a
/// small file, and their bodies take much more memory than a node.
constexpr size_t kBranchSteps = 32;

/// An If whose bodies `results_of(whether the condition holds, emitter of the body)` fills.
template <typename Fill>
std::vector<Tensor> make_if(Emitter& b, Shared& shared, const Tensor& condition,
                            const Fill& results_of) {
  shared.steps += kBranchSteps;
  std::shared_ptr<Graph> graphs[2];
  std::vector<Tensor> results[2];
  for (size_t side = 0; side < 2; ++side) {
    graphs[side] = std::make_shared<Graph>(&b.graph());
    Emitter inner(*graphs[side], shared);
    results[side] = results_of(side == 0, inner);
    for (const Tensor& x : results[side]) add_output(inner, x);
    b.adopt(inner);
    if (b.failed()) return {};
  }
  const size_t count = results[0].size();
  if (results[1].size() != count || count == 0) {
    b.invalid(cat("branches of different results: ", count, " and ", results[1].size()));
    return {};
  }
  for (size_t i = 0; i < count; ++i) {
    const Tensor &x = results[0][i], &y = results[1][i];
    if (x.dtype == y.dtype && x.value->type.is_tensor() == y.value->type.is_tensor()) continue;
    b.invalid(
        cat("branches of different results: result ", i, " is ", kind_of(x), " and ", kind_of(y)));
    return {};
  }
  auto out = b.ops("If", {condition}, count,
                   {{"then_branch", graphs[0]}, {"else_branch", graphs[1]}}, DType::kUndefined, 0);
  if (b.failed()) return {};
  for (size_t i = 0; i < count; ++i) {
    out[i].value->type.dtype = results[0][i].dtype;
    out[i] = common(b, out[i], results[0][i], results[1][i]);
  }
  return out;
}

}  // namespace

void Translator::loop(Scope& scope, const NodeDef& exit) {
  Emitter& b = *scope.b;
  const Nodes& nodes = *scope.nodes;
  const auto frame = nodes.loop_of.find(&exit);
  if (frame == nodes.loop_of.end()) return b.invalid("it leaves no loop");
  const Nodes::Loop& loop = nodes.loops.find(frame->second)->second;
  if (loop.condition == nullptr || loop.condition->inputs.empty())
    return b.invalid("a loop without a condition");
  if (!nests(b, b.graph())) return;
  struct Variable {
    const NodeDef* merge;
    std::string_view next;
    Tensor initial;
  };
  std::vector<Variable> variables;
  Scope before;
  before.outer = &scope;
  before.nodes = &nodes;
  before.b = &b;
  before.frame = &frame->second;
  before.depth = scope.depth + 1;
  std::unordered_map<const NodeDef*, std::vector<Tensor>> invariants;
  for (const NodeDef* merge : loop.variables) {
    Variable variable{merge, {}, {}};
    for (const std::string& input : merge->inputs) {
      const NodeDef* from = nodes.find(parse_input(input).node);
      if (is_op(from, "Enter")) variable.initial = value(scope, input);
      if (is_op(from, "NextIteration") && !from->inputs.empty()) variable.next = from->inputs[0];
    }
    if (b.failed()) return;
    if (!variable.initial || variable.next.empty())
      return b.invalid("a loop's variable without a start");
    before.values[merge] = {variable.initial};
    if (is_invariant(nodes, variable.next, merge)) {
      invariants[merge] = {variable.initial};
    } else {
      variables.push_back(variable);
    }
  }
  const Tensor first = as_condition(b, value(before, loop.condition->inputs[0]));
  if (b.failed()) return;
  auto graph = std::make_shared<Graph>(&b.graph());
  Emitter inner(*graph, shared_);
  graph->add_input("", Type::tensor(DType::kI64, Shape()));
  graph->add_input("", Type::tensor(DType::kBool, Shape()));
  Scope body = before, after = before;
  body.b = after.b = &inner;
  body.values = after.values = invariants;
  std::vector<Tensor> initial, next;
  for (const Variable& variable : variables) {
    initial.push_back(variable.initial);
    body.values[variable.merge] = {body_input(inner, variable.initial, "")};
  }
  for (const Variable& variable : variables) {
    next.push_back(value(body, variable.next));
    after.values[variable.merge] = {next.back()};
    if (inner.failed()) return b.adopt(inner);
  }
  const Tensor again = as_condition(inner, value(after, loop.condition->inputs[0]));
  b.at(cat("node '", exit.name, "' (", exit.op, ")"));
  b.set_scope(exit.name);
  std::vector<Tensor> results = finish_loop(b, graph, inner, first, initial, again, next);
  if (b.failed()) return;
  for (const NodeDef& node : nodes.list) {
    if (!is_op(&node, "Exit")) continue;
    const auto of = nodes.loop_of.find(&node);
    if (of == nodes.loop_of.end() || of->second != frame->second) continue;
    const NodeDef* chosen = nodes.find(parse_input(node.inputs[0]).node);
    const NodeDef* merge = nodes.find(parse_input(chosen->inputs[0]).node);
    const auto invariant = invariants.find(merge);
    if (invariant != invariants.end()) scope.values[&node] = invariant->second;
    for (size_t i = 0; i < variables.size(); ++i) {
      if (variables[i].merge == merge) scope.values[&node] = {results[i]};
    }
  }
  if (!scope.values.contains(&exit)) b.invalid("a loop's result that is no variable");
}

void Translator::branches(Scope& scope, const NodeDef& merge) {
  Emitter& b = *scope.b;
  const Nodes& nodes = *scope.nodes;
  const auto found = nodes.joins.find(&merge);
  if (found == nodes.joins.end()) return b.invalid("it joins no branches of one condition");
  const Nodes::Join& join = found->second;
  const Tensor given = value(scope, join.predicate);
  if (b.failed() || !nests(b, b.graph())) return;
  if (const auto known = b.known_ints(given); known && known->size() == 1) {
    const size_t side = (*known)[0] != 0 ? join.when_true : join.when_false;
    const Tensor result = value(scope, merge.inputs[side]);
    scope.values[&merge] = {result, b.integer(static_cast<int64_t>(side), DType::kI32)};
    return;
  }
  // All joins of the condition that need nothing of each other share one If.
  const auto depends = [&](const NodeDef* from, const NodeDef* on) {
    std::vector<const NodeDef*> open = {from};
    std::set<const NodeDef*> seen;
    while (!open.empty()) {
      const NodeDef* node = open.back();
      open.pop_back();
      for (const std::string& input : node->inputs) {
        const NodeDef* next = nodes.find(parse_input(input).node);
        if (next == on) return true;
        if (next != nullptr && !is_op(next, "NextIteration") && seen.insert(next).second)
          open.push_back(next);
      }
    }
    return false;
  };
  std::vector<const NodeDef*> group = {&merge};
  const auto own = nodes.conditions.find(&merge);
  for (const NodeDef& other : nodes.list) {
    const auto its = nodes.joins.find(&other);
    if (&other == &merge || its == nodes.joins.end() || its->second.predicate != join.predicate)
      continue;
    if (group.size() >= 64 || scope.values.contains(&other)) continue;
    const auto conditions = nodes.conditions.find(&other);
    if (conditions == nodes.conditions.end() || conditions->second != own->second) continue;
    // Only those that something takes a result of.
    const auto is_used = [&](const NodeDef& node) {
      return std::ranges::any_of(node.inputs, [&](const std::string& input) {
        return !input.starts_with('^') && parse_input(input).node == other.name;
      });
    };
    if (!std::ranges::any_of(nodes.list, is_used)) continue;
    if (std::ranges::any_of(group, [&](const NodeDef* one) {
          return depends(one, &other) || depends(&other, one);
        })) {
      continue;
    }
    group.push_back(&other);
  }
  const Tensor condition = as_condition(b, given);
  std::shared_ptr<Graph> graphs[2];
  std::vector<Tensor> results[2];
  for (const bool side : {true, false}) {
    auto graph = std::make_shared<Graph>(&b.graph());
    Emitter inner(*graph, shared_);
    Scope branch;
    branch.outer = &scope;
    branch.nodes = &nodes;
    branch.b = &inner;
    branch.predicate = join.predicate;
    branch.side = side;
    branch.is_branch = true;
    branch.depth = scope.depth + 1;
    for (const NodeDef* one : group) {
      const Nodes::Join& its = nodes.joins.find(one)->second;
      const Tensor x = value(branch, one->inputs[side ? its.when_true : its.when_false]);
      results[side ? 0 : 1].push_back(x);
      add_output(inner, x);
      if (inner.failed()) return b.adopt(inner);
    }
    graphs[side ? 0 : 1] = std::move(graph);
  }
  b.at(cat("node '", merge.name, "' (", merge.op, ")"));
  b.set_scope(merge.name);
  auto out = b.ops("If", {condition}, group.size(),
                   {{"then_branch", graphs[0]}, {"else_branch", graphs[1]}}, DType::kUndefined, 0);
  if (b.failed()) return;
  const Tensor index = b.cast(condition, DType::kI32);
  for (size_t i = 0; i < group.size(); ++i) {
    out[i].value->type.dtype = results[0][i].dtype;
    scope.values[group[i]] = {common(b, out[i], results[0][i], results[1][i]), index};
  }
}

void Translator::while_call(Scope& scope, const NodeDef& node) {
  Emitter& b = *scope.b;
  const std::vector<Tensor> initial = inputs(scope, node);
  const auto name = [&](std::string_view key) {
    const auto found = node.attributes.find(key);
    return found != node.attributes.end() && found->second.s ? *found->second.s : std::string();
  };
  if (b.failed() || !nests(b, b.graph())) return;
  const auto condition = [&](const std::vector<Tensor>& variables, Emitter& at) {
    const auto results = call(scope, name("cond"), variables, at);
    if (results.size() == 1) return as_condition(at, results[0]);
    at.invalid("a condition of several results");
    return Tensor{};
  };
  const Tensor first = condition(initial, b);
  auto graph = std::make_shared<Graph>(&b.graph());
  Emitter inner(*graph, shared_);
  graph->add_input("", Type::tensor(DType::kI64, Shape()));
  graph->add_input("", Type::tensor(DType::kBool, Shape()));
  // What the body gives back as it was, weights above all, is no variable of the loop.
  const auto body = source_.graph.functions.find(name("body"));
  std::vector<size_t> changing;
  for (size_t i = 0; i < initial.size(); ++i) {
    const bool is_fixed = body != source_.graph.functions.end() &&
                          returns_argument(body->second, function_nodes(body->second), i);
    if (!is_fixed) changing.push_back(i);
  }
  std::vector<Tensor> variables = initial, start, last;
  for (const size_t i : changing) {
    start.push_back(initial[i]);
    variables[i] = body_input(inner, initial[i], "");
  }
  std::vector<Tensor> next = call(scope, name("body"), variables, inner);
  if (next.size() != initial.size()) inner.invalid("a body of other results than variables");
  if (inner.failed()) return b.adopt(inner);
  for (const size_t i : changing) last.push_back(next[i]);
  const Tensor again = condition(next, inner);
  b.set_scope(node.name);
  const std::vector<Tensor> results = finish_loop(b, graph, inner, first, start, again, last);
  if (b.failed()) return;
  std::vector<Tensor> out = initial;
  for (size_t i = 0; i < changing.size(); ++i) out[changing[i]] = results[i];
  scope.values[&node] = std::move(out);
}

void Translator::if_call(Scope& scope, const NodeDef& node) {
  Emitter& b = *scope.b;
  std::vector<Tensor> arguments = inputs(scope, node);
  if (b.failed() || !nests(b, b.graph())) return;
  if (arguments.empty()) return b.invalid("it has no condition");
  Tensor condition = arguments[0];
  arguments.erase(arguments.begin());
  condition = as_condition(b, condition);
  const auto name = [&](std::string_view key) {
    const auto found = node.attributes.find(key);
    return found != node.attributes.end() && found->second.s ? *found->second.s : std::string();
  };
  auto out = make_if(b, shared_, condition, [&](bool holds, Emitter& inner) {
    return call(scope, name(holds ? "then_branch" : "else_branch"), arguments, inner);
  });
  if (!b.failed()) scope.values[&node] = std::move(out);
}

void Translator::case_call(Scope& scope, const NodeDef& node) {
  Emitter& b = *scope.b;
  std::vector<Tensor> arguments = inputs(scope, node);
  if (b.failed()) return;
  if (arguments.empty()) return b.invalid("it has no branch_index");
  Tensor index = arguments[0];
  arguments.erase(arguments.begin());
  if (index.dtype != DType::kI32)
    return b.invalid(cat("branch_index is ", name_of(index.dtype), ", i32 was expected"));
  if (index.rank != 0) index = b.reshape_ints(index, {});
  const auto found = node.attributes.find("branches");
  if (found == node.attributes.end() || found->second.functions.empty())
    return b.invalid("it has no branches");
  const std::vector<std::string>& names = found->second.functions;
  // Any index that is none of a branch is the last one's; large ones are so by themselves.
  const auto last = static_cast<double>(names.size() - 1);
  const Tensor negative = b.binary("Less", index, b.number_like(index, 0), DType::kBool);
  index = b.where(negative, b.number_like(index, last), index);
  auto out = case_branch(scope, {names, 0, index, arguments}, b);
  if (!b.failed()) scope.values[&node] = std::move(out);
}

std::vector<Tensor> Translator::case_branch(Scope& scope, const Branches& branches, Emitter& b) {
  const auto [names, first, index, arguments] = branches;
  if (!step(b)) return {};
  if (names.size() == 1) return call(scope, names[0], arguments, b);
  if (!nests(b, b.graph())) return {};
  // Halves, not one branch after the other: graphs nest as deep as the logarithm of their number.
  const size_t half = names.size() / 2;
  const auto middle = static_cast<double>(first + half);
  const Tensor below = b.binary("Less", index, b.number_like(index, middle), DType::kBool);
  return make_if(b, shared_, below, [&](bool holds, Emitter& inner) {
    if (holds) return case_branch(scope, {names.first(half), first, index, arguments}, inner);
    return case_branch(scope, {names.subspan(half), first + half, index, arguments}, inner);
  });
}

namespace {

constexpr Operator kOperators[] = {
    {"Const", "constant", nullptr},
    {"Placeholder", "input", nullptr},
    {"NoOp", "nothing", nullptr},
    {"Assert", "nothing", nullptr},
    {"Switch", "If", nullptr, "output_false output_true"},
    {"Merge", "If", nullptr, "output value_index"},
    {"Enter", "Loop", nullptr},
    {"Exit", "Loop", nullptr},
    {"NextIteration", "Loop", nullptr},
    {"LoopCond", "Loop", nullptr},
    {"RefSwitch", "If", nullptr, "output_false output_true"},
    {"RefMerge", "If", nullptr, "output value_index"},
    {"RefEnter", "Loop", nullptr},
    {"RefExit", "Loop", nullptr},
    {"RefNextIteration", "Loop", nullptr},
    {"While", "Loop", nullptr, "output"},
    {"StatelessWhile", "Loop", nullptr, "output"},
    {"If", "If", nullptr, "output"},
    {"StatelessIf", "If", nullptr, "output"},
    {"Case", "If", nullptr, "output"},
    {"StatelessCase", "If", nullptr, "output"},
    {"PartitionedCall", "its function", nullptr, "output"},
    {"StatefulPartitionedCall", "its function", nullptr, "output"},
};

}  // namespace

std::span<const Operator> control_operators() { return kOperators; }

}  // namespace quern::tensorflow
