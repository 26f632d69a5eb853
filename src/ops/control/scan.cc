// Scan: a body over the slices of one or more inputs, with states handed on. ONNX operators "Scan"
// 8, 9, 11, 16, 19, 21, 23, 24, 25. It becomes a Loop whose body takes the slices itself
// (quern.Select); version 8, which has a batch, becomes two, the outer one over the batch.
#include <climits>
#include <memory>
#include <utility>

#include "ops/common/expansion.h"
#include "ops/common/infer.h"
#include "ops/common/merge_types.h"
#include "ops/common/scan_form.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"body", AttributeKind::kGraph, true},
    {"num_scan_inputs", AttributeKind::kInt, true},
    {"directions", AttributeKind::kInts},
    {"scan_input_axes", AttributeKind::kInts},
    {"scan_input_directions", AttributeKind::kInts},
    {"scan_output_axes", AttributeKind::kInts},
    {"scan_output_directions", AttributeKind::kInts},
};

constexpr int kVersion = 18;  // of the nodes made here: Pad has axes

Result<void> infer(InferContext& c) {
  QUERN_ASSIGN(const ScanForm form, scan_form(c.node()));
  for (size_t i = 0; i < c.output_count(); ++i) {
    Type type = form.body->outputs[i]->type;
    if (type.shape && i < form.states && form.is_batched) {
      type.shape->insert(type.shape->begin(), c.fresh_dim(i, 0));
    }
    if (i < form.states) {
      c.set(i, merge_types(c, i, type, c.type(form.first + i)));
      continue;
    }
    if (type.shape) {
      Shape& shape = *type.shape;
      const size_t rank = shape.size();
      QUERN_ASSIGN(const size_t axis, c.axis(form.output_axes[i - form.states], rank + 1));
      shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), c.fresh_dim(i, rank));
      if (form.is_batched) shape.insert(shape.begin(), c.fresh_dim(i, rank + 1));
    }
    c.set(i, std::move(type));
  }
  return {};
}

Node* add(Graph& graph, Node* before, std::string op, std::vector<Value*> inputs,
          Expansion::Attributes attributes = {}, std::string domain = "") {
  const int version = domain.empty() ? kVersion : 1;
  Node* node =
      graph.add_node(std::move(op), std::move(inputs), 1, before, std::move(domain), version);
  for (const auto& [name, value] : attributes) node->attributes[std::string(name)] = value;
  return node;
}

Value* ints(Graph& graph, std::vector<int64_t> values) {
  const auto n = static_cast<int64_t>(values.size());
  return graph.add_constant("", make_constant(HostTensor::of_ints(DType::kI64, {n}, values)));
}

/// The extent of an axis, a list of one.
Value* extent(Graph& graph, Node* before, Value* value, int64_t axis) {
  Node* node = add(graph, before, "Shape", {value}, {{"start", axis}});
  if (axis != -1) node->attributes["end"] = axis + 1;
  return node->outputs[0];
}

Value* select(Graph& graph, Value* data, Value* index, int64_t axis) {
  return add(graph, nullptr, "Select", {data, index}, {{"axis", axis}}, "quern")->outputs[0];
}

/// A body for a Loop, with its counter and condition, which it hands on.
std::shared_ptr<Graph> loop_body(Graph& outer) {
  auto body = std::make_shared<Graph>(&outer);
  body->name = "scan";
  body->add_input("", Type::tensor(DType::kI64, Shape{}));
  body->outputs.push_back(body->add_input("", Type::tensor(DType::kBool, Shape{})));
  return body;
}

/// The Loop over the scanned axis, in `graph`: states and scan outputs along axis 0. `length` is
/// that of the sequence where it may be shorter than the axis.
Result<Node*> scan_loop(Graph& graph, Node* before, const ScanForm& form,
                        std::vector<Value*> states, std::span<Value* const> scans, Value* length) {
  Value* trips = length != nullptr ? length : extent(graph, before, scans[0], form.input_axes[0]);
  auto body = loop_body(graph);
  Value* counter = body->inputs[0];
  std::vector<Value*> arguments;
  for (const Value* state : states) arguments.push_back(body->add_input("", state->type));
  Value* from_end = nullptr;
  for (size_t i = 0; i < scans.size(); ++i) {
    Value* index = counter;
    if (form.input_reversed[i]) {
      if (from_end == nullptr) {
        // -1 - counter counts from the end; a shorter sequence's end is not the axis's.
        Value* last = ints(*body, {-1});
        if (length != nullptr) last = add(*body, nullptr, "Add", {length, last})->outputs[0];
        from_end = add(*body, nullptr, "Sub", {last, counter})->outputs[0];
      }
      index = from_end;
    }
    arguments.push_back(select(*body, scans[i], index, form.input_axes[i]));
  }
  QUERN_ASSIGN(const std::vector<Value*> results,
               body->inline_body(*form.body, arguments, nullptr));
  body->outputs.insert(body->outputs.end(), results.begin(), results.end());

  std::vector<Value*> inputs = {trips, nullptr};
  inputs.insert(inputs.end(), states.begin(), states.end());
  Node* loop = graph.add_node("Loop", std::move(inputs), results.size(), before, "", kVersion);
  loop->attributes["body"] = std::move(body);
  return loop;
}

Result<void> expand_batched(Graph& graph, Node& node, const ScanForm& form) {
  auto body = loop_body(graph);
  Value* batch = body->inputs[0];
  std::vector<Value*> states;
  std::vector<Value*> scans;
  for (size_t i = form.first; i < node.inputs.size(); ++i) {
    const bool is_state = i - form.first < form.states;
    (is_state ? states : scans).push_back(select(*body, node.inputs[i], batch, 0));
    Type type = node.inputs[i]->type;
    if (type.shape && !type.shape->empty()) type.shape->erase(type.shape->begin());
    (is_state ? states : scans).back()->type = std::move(type);
  }
  Value* length = nullptr;
  if (node.inputs[0] != nullptr) {
    length =
        add(*body, nullptr, "Reshape", {select(*body, node.inputs[0], batch, 0), ints(*body, {1})})
            ->outputs[0];
  }
  QUERN_ASSIGN(Node * inner, scan_loop(*body, nullptr, form, states, scans, length));
  for (size_t i = 0; i < inner->outputs.size(); ++i) {
    Value* out = inner->outputs[i];
    if (i >= form.states && length != nullptr) {
      // Zeros where the sequence is over.
      Value* whole = extent(*body, nullptr, scans[0], 0);
      Value* rest = add(*body, nullptr, "Sub", {whole, length})->outputs[0];
      Value* pads = add(*body, nullptr, "Concat", {ints(*body, {0}), rest}, {{"axis", int64_t{0}}})
                        ->outputs[0];
      out = add(*body, nullptr, "Pad", {out, pads, nullptr, ints(*body, {0})})->outputs[0];
    }
    body->outputs.push_back(out);
  }
  Node* loop = graph.add_node(
      "Loop", {extent(graph, &node, node.inputs[form.first + form.states], 0), nullptr},
      node.outputs.size(), &node, "", kVersion);
  loop->name = node.name;
  loop->attributes["body"] = std::move(body);
  Expansion e(graph, node);
  for (size_t i = 0; i < node.outputs.size(); ++i) e.replace(i, loop->outputs[i]);
  e.finish();
  return {};
}

/// A scan output as the node gives it, from one along axis 0 in the order of iterations.
Result<Value*> arranged(Graph& graph, Node& node, const ScanForm& form, size_t output,
                        const std::optional<Shape>& slice, Value* value) {
  if (form.output_reversed[output]) {
    value = add(graph, &node, "Slice",
                {value, ints(graph, {-1}), ints(graph, {INT64_MIN}), ints(graph, {0}),
                 ints(graph, {-1})})
                ->outputs[0];
  }
  const int64_t given = form.output_axes[output];
  if (given == 0) return value;
  if (!slice) {
    return unsupported(cat(node.describe(), ": scan_output_axes for an output of unknown rank"));
  }
  QUERN_ASSIGN(const size_t axis, resolve_axis(node, given, slice->size() + 1));
  if (axis == 0) return value;
  std::vector<int64_t> perm;
  for (size_t a = 1; a <= slice->size(); ++a) perm.push_back(static_cast<int64_t>(a));
  perm.insert(perm.begin() + static_cast<std::ptrdiff_t>(axis), 0);
  return add(graph, &node, "Transpose", {value}, {{"perm", perm}})->outputs[0];
}

Result<bool> expand(Graph& graph, Node& node) {
  QUERN_ASSIGN(const ScanForm form, scan_form(node));
  if (form.is_batched) {
    QUERN_TRY(expand_batched(graph, node, form));
    return true;
  }
  const auto states_end = node.inputs.begin() + static_cast<std::ptrdiff_t>(form.states);
  const std::vector<Value*> states(node.inputs.begin(), states_end);
  const std::vector<Value*> scans(states_end, node.inputs.end());
  std::vector<std::optional<Shape>> slices;  // of the outputs; the body is empty after this
  for (const Value* v : form.body->outputs) slices.push_back(v->type.shape);
  QUERN_ASSIGN(Node * loop, scan_loop(graph, &node, form, states, scans, nullptr));
  loop->name = node.name;
  Expansion e(graph, node);
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    Value* value = loop->outputs[i];
    if (i >= form.states) {
      QUERN_ASSIGN(value, arranged(graph, node, form, i - form.states, slices[i], value));
    }
    e.replace(i, value);
  }
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_scan;
const OpDef op_scan = {
    .name = "Scan",
    .since = 8,
    .min_inputs = 0,
    .max_inputs = kVariadic,
    .max_outputs = kVariadic,
    .types = kAllTypes,
    .attributes = kAttributes,
    .is_control = true,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
