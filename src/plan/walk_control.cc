// Control flow: the branch of an If, the iterations of a Loop.

#include <algorithm>

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
    // Graph inputs and constants get their storage through their own value.
    QUERN_ASSIGN(RunTensor * t, tensor(node.inputs[i + 2]));
    if (!t->elements && t->info.dtype != DType::kString && !t->host) {
      QUERN_TRY(device_storage(node.inputs[i + 2]));
    }
    carried.push_back(*t);
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
    const Value& input = *frame.graph->inputs[i + 2];
    RunTensor& t = environment_[input.id];
    t = std::move(carried[i]);
    // What is the same in every iteration and binding was found when the body was inferred.
    t.info.baked = 0;
    if (input.type.shape && input.type.shape->size() == t.info.rank()) {
      for (size_t a = 0; a < t.info.rank() && a < 32; ++a) {
        if ((*input.type.shape)[a].is_const()) t.info.baked |= 1u << a;
      }
    }
  }
  return {};
}

Result<Walk::Progress> Walk::leave(Frame& frame) {
  Node& owner = *frame.owner;
  Graph& body = *frame.graph;
  const auto take = [&](const Value* value) -> Result<RunTensor> {
    QUERN_ASSIGN(RunTensor * t, tensor(value));
    if (!t->host && !t->elements) QUERN_TRY(device_storage(value));
    return *t;
  };
  if (owner.is("If")) {
    for (size_t i = 0; i < body.outputs.size(); ++i) {
      QUERN_ASSIGN(RunTensor t, take(body.outputs[i]));
      // Baked axes hold for the branch; for the node only what both branches agree on.
      uint32_t baked = 0;
      const Type& type = owner.outputs[i]->type;
      if (type.shape && type.shape->size() == t.info.rank()) {
        for (size_t a = 0; a < t.info.rank() && a < 32; ++a) {
          if ((*type.shape)[a].is_const()) baked |= 1u << a;
        }
      }
      t.info.baked = baked;
      environment_[owner.outputs[i]->id] = std::move(t);
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
    QUERN_ASSIGN(RunTensor t, take(body.outputs[i + 1]));
    carried.push_back(std::move(t));
  }
  for (size_t i = 0; i < frame.collected.size(); ++i) {
    const Value* v = body.outputs[carried_count + 1 + i];
    QUERN_TRY(device_storage(v));
    QUERN_ASSIGN(RunTensor * t, tensor(v));
    frame.collected[i].push_back(*t);
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
    RunTensor t;
    if (i < carried.size()) {
      t = std::move(carried[i]);
    } else {
      const auto& parts = frame.collected[i - carried.size()];
      if (output == nullptr) continue;
      QUERN_ASSIGN(t, stack(owner, parts, frame.graph->outputs[i + 1]->type));
    }
    if (output == nullptr) continue;
    t.info.baked = 0;
    if (output->type.shape && output->type.shape->size() == t.info.rank()) {
      for (size_t a = 0; a < t.info.rank() && a < 32; ++a) {
        if ((*output->type.shape)[a].is_const()) t.info.baked |= 1u << a;
      }
    }
    environment_[output->id] = std::move(t);
  }
  return {};
}

Result<RunTensor> Walk::stack(const Node& node, const std::vector<RunTensor>& parts,
                              const Type& type) {
  RunTensor out;
  out.info.present = true;
  out.info.dtype = type.dtype;
  if (parts.empty()) {
    out.info.dims = {0};
    if (type.shape) {
      for (const Dim& d : *type.shape) out.info.dims.push_back(d.is_const() ? d.value() : 0);
    }
  } else {
    out.info.dtype = parts[0].info.dtype;
    out.info.dims = parts[0].info.dims;
    out.info.dims.insert(out.info.dims.begin(), static_cast<int64_t>(parts.size()));
  }
  QUERN_ASSIGN(const int64_t count, element_count(out.info.dims));
  const uint64_t part_bytes =
      parts.empty() ? 0 : byte_size(out.info.dtype, static_cast<uint64_t>(count) / parts.size());
  out.storage =
      add_storage(StorageKind::kTemporary, byte_size(out.info.dtype, static_cast<uint64_t>(count)));
  touch(out.storage);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].info.dims != parts[0].info.dims) {
      return invalid_model(cat(node.describe(), ": a scan output changes its shape"));
    }
    if (part_bytes == 0) continue;
    if (part_bytes % 4 != 0) {
      return unsupported(cat(node.describe(), ": scan outputs of ", part_bytes,
                             " bytes an iteration; a multiple of 4 is needed"));
    }
    QUERN_TRY(emit_copy(node.id, parts[i].storage, out.storage, {0, i * part_bytes}, part_bytes));
  }
  return out;
}

}  // namespace quern
