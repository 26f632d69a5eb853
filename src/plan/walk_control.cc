// Control flow: the branch of an If, the iterations of a Loop.

#include <algorithm>
#include <set>

#include "plan/walk.h"

namespace quern {

Result<Walk::Progress> Walk::visit_if(Node& node) {
  QUERN_ASSIGN(const bool have, fetch(node.inputs[0]));
  if (!have) return Progress::kSuspend;
  QUERN_ASSIGN(RunTensor * condition, tensor(node.inputs[0]));
  if (condition->host->count() != 1) {
    return invalid_model(cat(node.describe(), ": the condition has ", condition->host->count(),
                             " elements, expected 1"));
  }
  Graph* body = node.subgraph(condition->host->int_at(0) != 0 ? "then_branch" : "else_branch");
  if (body == nullptr || body->outputs.size() != node.outputs.size()) {
    return invalid_model(
        cat(node.describe(), ": a branch must give ", node.outputs.size(), " outputs"));
  }
  if (frames_.size() >= limits_.depth) {
    return limit_exceeded(
        cat(node.describe(), ": control flow nested deeper than ", limits_.depth));
  }
  Frame frame;
  frame.graph = body;
  frame.owner = &node;
  frames_.push_back(std::move(frame));
  return Progress::kEntered;
}

Result<Walk::Progress> Walk::visit_loop(Node& node) {
  Graph* body = node.subgraph("body");
  const size_t carried_count = node.inputs.size() < 2 ? 0 : node.inputs.size() - 2;
  if (body == nullptr || body->inputs.size() != carried_count + 2 ||
      body->outputs.size() != node.outputs.size() + 1 || node.outputs.size() < carried_count) {
    return invalid_model(cat(node.describe(), ": the body must have ", carried_count + 2,
                             " inputs and ", node.outputs.size() + 1, " outputs"));
  }
  Frame frame;
  frame.graph = body;
  frame.owner = &node;
  frame.trips = INT64_MAX;
  bool ready = true;
  RunTensor condition;
  for (size_t i = 0; i < 2; ++i) {
    if (node.input(i) == nullptr) continue;
    QUERN_ASSIGN(const bool have, fetch(node.inputs[i]));
    ready = ready && have;
  }
  if (!ready) return Progress::kSuspend;
  if (const Value* v = node.input(0)) {
    QUERN_ASSIGN(RunTensor * t, tensor(v));
    if (t->host->count() != 1) {
      return invalid_model(
          cat(node.describe(), ": the trip count has ", t->host->count(), " elements, expected 1"));
    }
    frame.trips = t->host->int_at(0);
  }
  if (const Value* v = node.input(1)) {
    QUERN_ASSIGN(RunTensor * t, tensor(v));
    condition = *t;
  } else {
    condition.info.present = true;
    condition.info.dtype = DType::kBool;
    condition.host = std::make_shared<const HostTensor>(HostTensor::of_ints(DType::kBool, {}, {1}));
  }
  if (frames_.size() >= limits_.depth) {
    return limit_exceeded(
        cat(node.describe(), ": control flow nested deeper than ", limits_.depth));
  }
  std::vector<RunTensor> carried;
  for (size_t i = 0; i < carried_count; ++i) {
    if (node.inputs[i + 2] == nullptr) {
      return invalid_model(cat(node.describe(), ": carried value ", i, " has no initial value"));
    }
    QUERN_ASSIGN(RunTensor t, reference(node.inputs[i + 2]));
    carried.push_back(std::move(t));
  }
  frame.collected.resize(node.outputs.size() - carried_count);
  frames_.push_back(std::move(frame));
  if (condition.host->count() != 1) {
    return invalid_model(cat(node.describe(), ": the condition must have 1 element"));
  }
  if (frames_.back().trips <= 0 || condition.host->int_at(0) == 0) {
    // No iteration: leave at once.
    QUERN_TRY(finish_loop(frames_.back(), std::move(carried)));
    frames_.pop_back();
    return Progress::kNext;
  }
  QUERN_TRY(begin_iteration(frames_.back(), condition, std::move(carried)));
  return Progress::kEntered;
}

Result<void> Walk::begin_iteration(Frame& frame, const RunTensor& condition,
                                   std::vector<RunTensor> carried) {
  frame.next = 0;
  if (frame.iteration >= limits_.loop_iterations) {
    return limit_exceeded(
        cat(frame.owner->describe(), ": more than ", limits_.loop_iterations, " iterations"));
  }
  // Values of the last iteration must not be taken for this one's; constants stay.
  for (const auto& value : frame.graph->values()) {
    if (!placement_.constant[value->id]) environment_[value->id] = {};
  }
  RunTensor& counter = environment_[frame.graph->inputs[0]->id];
  counter.info.present = true;
  counter.info.dtype = DType::kI64;
  counter.host =
      std::make_shared<const HostTensor>(HostTensor::of_ints(DType::kI64, {}, {frame.iteration}));
  environment_[frame.graph->inputs[1]->id] = condition;
  for (size_t i = 0; i < carried.size(); ++i) {
    set(frame.graph->inputs[i + 2], std::move(carried[i]));
  }
  return {};
}

Result<Walk::Progress> Walk::leave(Frame& frame) {
  Node& owner = *frame.owner;
  Graph& body = *frame.graph;
  if (owner.is("If")) {
    for (size_t i = 0; i < body.outputs.size(); ++i) {
      QUERN_ASSIGN(RunTensor t, reference(body.outputs[i]));
      set(owner.outputs[i], std::move(t));
    }
    frames_.pop_back();
    ++frames_.back().next;
    return Progress::kEntered;
  }
  // A Loop: does it go on?
  QUERN_ASSIGN(const bool have, fetch(body.outputs[0]));
  if (!have) return Progress::kSuspend;
  QUERN_ASSIGN(RunTensor * condition, tensor(body.outputs[0]));
  const RunTensor next_condition = *condition;
  if (next_condition.host->count() != 1) {
    return invalid_model(cat(owner.describe(), ": the condition must have 1 element"));
  }
  const size_t carried_count = body.inputs.size() - 2;
  std::vector<RunTensor> carried;
  for (size_t i = 0; i < carried_count; ++i) {
    QUERN_ASSIGN(RunTensor t, reference(body.outputs[i + 1]));
    carried.push_back(std::move(t));
  }
  for (size_t i = 0; i < frame.collected.size(); ++i) {
    QUERN_ASSIGN(RunTensor t, reference(body.outputs[carried_count + 1 + i]));
    frame.collected[i].push_back(std::move(t));
  }
  ++frame.iteration;
  if (frame.iteration < frame.trips && next_condition.host->int_at(0) != 0) {
    QUERN_TRY(begin_iteration(frame, next_condition, std::move(carried)));
    return Progress::kEntered;
  }
  QUERN_TRY(finish_loop(frame, std::move(carried)));
  frames_.pop_back();
  ++frames_.back().next;
  return Progress::kEntered;
}

Result<void> Walk::finish_loop(Frame& frame, std::vector<RunTensor> carried) {
  Node& owner = *frame.owner;
  for (size_t i = 0; i < owner.outputs.size(); ++i) {
    Value* output = owner.outputs[i];
    if (output == nullptr) continue;
    if (i < carried.size()) {
      set(output, std::move(carried[i]));
      continue;
    }
    std::vector<RunTensor>& parts = frame.collected[i - carried.size()];
    RunTensor t;
    if (parts.empty()) {
      const Type& type = frame.graph->outputs[i + 1]->type;
      HostTensor none;
      none.dtype = type.dtype;
      none.dims = {0};
      if (type.shape) {
        for (const Dim& d : *type.shape) none.dims.push_back(d.is_const() ? d.value() : 0);
      }
      t.info.present = true;
      QUERN_TRY(set_host(t, std::move(none)));
    } else {
      QUERN_ASSIGN(t, join(owner, std::move(parts), 0, true));
    }
    set(output, std::move(t));
  }
  return {};
}

std::string Walk::waiting() const {
  if (requests_.empty() || frames_.empty()) return {};
  const Frame& frame = frames_.back();
  const auto& nodes = frame.graph->nodes();
  // At the end of a body it is the owner that waits: for its next condition.
  const Node* node = frame.next < nodes.size() ? nodes[frame.next].get() : frame.owner;
  if (node == nullptr) return "the graph waits for the device";
  const auto is_named = [](const Node& n) {
    return !n.name.empty() || (!n.outputs.empty() && n.outputs[0] && !n.outputs[0]->name.empty());
  };
  std::string out = node->describe();
  // Of what an operator was expanded into only the last node bears its name.
  std::set<const Value*> after(node->outputs.begin(), node->outputs.end());
  for (size_t i = frame.next + 1; i < nodes.size() && !is_named(*node); ++i) {
    const Node& next = *nodes[i];
    if (std::ranges::none_of(next.inputs,
                             [&](const Value* v) { return v != nullptr && after.contains(v); })) {
      continue;
    }
    after.insert(next.outputs.begin(), next.outputs.end());
    if (!is_named(next)) continue;
    out += cat(", on the way to ", next.describe());
    break;
  }
  out += ": the host has to know";
  for (const Value* value : requests_) {
    out += value == requests_.front() ? " " : ", ";
    if (!value->name.empty()) {
      out += cat("'", value->name, "'");
    } else if (value->producer != nullptr) {
      out += cat("what comes of ", value->producer->describe());
    } else {
      out += "a value";
    }
  }
  return out + ", which the device computes";
}

}  // namespace quern
