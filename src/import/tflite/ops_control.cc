// Control flow, and variables.
#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

std::vector<Tensor> arguments(Call& c, size_t first) {
  std::vector<Tensor> out;
  for (size_t i = first; i < c.inputs(); ++i) out.push_back(c.raw(i));
  return out;
}

/// A value of its own for each output of a body.
Value* body_output(Builder& b, const Tensor& x) {
  Value* value = x.value;
  if (value->producer == nullptr || value->graph != &b.graph() || b.graph().is_output(value)) {
    value = b.op("Identity", {x}).value;
  }
  value->type.shape.reset();
  return value;
}

std::shared_ptr<Graph> branch(Call& c, int32_t index, const std::vector<Tensor>& inputs,
                              std::vector<Tensor>& outputs) {
  auto body = std::make_shared<Graph>(&c.b.graph());
  Builder inner(*body);
  outputs = translate_subgraph(c, inner, index, inputs);
  for (const Tensor& output : outputs) body->outputs.push_back(body_output(inner, output));
  return body;
}

void if_(Call& c, std::string_view) {
  const std::vector<Tensor> inputs = arguments(c, 1);
  const Tensor condition = c.b.reshape(c.raw(0), Ints{});
  if (c.failed()) return;
  std::vector<Tensor> one;
  std::vector<Tensor> other;
  auto then_branch = branch(c, c.option(0), inputs, one);
  if (c.failed()) return;
  auto else_branch = branch(c, c.option(1), inputs, other);
  if (c.failed()) return;
  if (one.size() != c.outputs() || other.size() != c.outputs()) {
    return c.invalid("its branches have other numbers of results");
  }
  const auto results =
      c.b.ops("If", {condition}, c.outputs(),
              {{"then_branch", std::move(then_branch)}, {"else_branch", std::move(else_branch)}},
              DType::kUndefined, 0);
  for (size_t i = 0; i < results.size() && !c.failed(); ++i) {
    results[i].value->type.dtype = one[i].dtype;
    c.set({results[i].value, one[i].dtype, std::max(one[i].rank, other[i].rank)}, i);
  }
}

void while_(Call& c, std::string_view) {
  const std::vector<Tensor> initial = arguments(c, 0);
  // The condition before the first turn, and after each.
  const auto first = translate_subgraph(c, c.b, c.option(0), initial);
  if (c.failed()) return;
  if (first.size() != 1) return c.invalid("a condition of several results");
  const Tensor condition = c.b.reshape(first[0], Ints{});
  auto body = std::make_shared<Graph>(&c.b.graph());
  Builder inner(*body);
  body->add_input("", Type::tensor(DType::kI64, Shape()));
  body->add_input("", Type::tensor(DType::kBool, Shape()));
  std::vector<Tensor> carried;
  for (const Tensor& x : initial) {
    carried.push_back({body->add_input("", Type::tensor(x.dtype, std::nullopt)), x.dtype, x.rank});
  }
  const auto next = translate_subgraph(c, inner, c.option(1), carried);
  if (c.failed()) return;
  if (next.size() != initial.size() || c.outputs() != initial.size()) {
    return c.invalid("a body of other results than it takes");
  }
  const auto again = translate_subgraph(c, inner, c.option(0), next);
  if (c.failed() || again.size() != 1) return;
  body->outputs.push_back(body_output(inner, inner.reshape(again[0], Ints{})));
  for (const Tensor& x : next) body->outputs.push_back(body_output(inner, x));
  std::vector<Tensor> inputs = {Tensor(), condition};
  inputs.insert(inputs.end(), initial.begin(), initial.end());
  const auto results =
      c.b.ops("Loop", inputs, c.outputs(), {{"body", std::move(body)}}, DType::kUndefined, 0);
  for (size_t i = 0; i < results.size() && !c.failed(); ++i) {
    results[i].value->type.dtype = next[i].dtype;
    c.set({results[i].value, next[i].dtype, next[i].rank}, i);
  }
}

void call(Call& c, std::string_view) {
  const auto results = translate_subgraph(c, c.b, c.option(0), arguments(c, 0));
  if (!c.failed() && results.size() != c.outputs()) return c.invalid("other numbers of results");
  for (size_t i = 0; i < results.size(); ++i) c.set(results[i], i);
}

/// A subgraph that sets variables before the first run.
void call_once(Call& c, std::string_view) {
  if (c.scope.context.depth > 0) return c.unsupported("an initialisation in a branch or a loop");
  c.scope.context.is_initialising = true;
  translate_subgraph(c, c.b, c.option(0), {});
  c.scope.context.is_initialising = false;
  for (auto& [name, variable] : c.scope.context.variables) {
    if (!variable.changed) continue;
    if (variable.now.value == nullptr || !variable.now.value->is_constant()) {
      return c.unsupported(cat("variable '", name, "' whose first value is computed"));
    }
    variable.initial = variable.now.value;
    variable.changed = false;
  }
}

/// The handle is an empty tensor; what it stands for is found by its tensor's producer.
std::string handle_name(Call& c) {
  const Tensor handle = c.raw(0);
  if (c.failed() || handle.value == nullptr) return {};
  const std::string& name = handle.value->name;
  if (!name.starts_with(kResource)) c.invalid("no handle of a variable");
  return name;
}

void var_handle(Call& c, std::string_view) {
  const Tensor handle = c.b.integer(0, DType::kI32);
  handle.value->name = cat(kResource, c.op.options.text(0), "/", c.op.options.text(1));
  c.set(handle);
}

void read_variable(Call& c, std::string_view) {
  const std::string name = handle_name(c);
  if (c.failed()) return;
  const auto found = c.scope.context.variables.find(name);
  if (found == c.scope.context.variables.end()) {
    return c.invalid(cat("variable '", name, "' is read before it is set"));
  }
  c.set(found->second.now);
}

void assign_variable(Call& c, std::string_view) {
  const std::string name = handle_name(c);
  const Tensor value = c.raw(1);
  if (c.failed()) return;
  Variable& variable = c.scope.context.variables[name];
  const Context& context = c.scope.context;
  if (context.depth > (context.is_initialising ? 1 : 0)) {
    return c.unsupported("a variable that changes in a branch or a loop");
  }
  variable.now = value;
  variable.changed = true;
}

constexpr Operator kOperators[] = {
    {31, "CALL", "the subgraph's own", call},
    {118, "IF", "If", if_},
    {119, "WHILE", "Loop", while_},
    {129, "CALL_ONCE", "nothing", call_once},
    {142, "VAR_HANDLE", "an input and an output", var_handle},
    {143, "READ_VARIABLE", "an input", read_variable},
    {144, "ASSIGN_VARIABLE", "an output", assign_variable},
};

}  // namespace

std::span<const Operator> control_operators() { return kOperators; }

}  // namespace quern::tflite
