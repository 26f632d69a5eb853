#include "ops/common/scan_form.h"

namespace quern {
namespace {

/// A list of integers, one for each of `count`; zeros where the node has none.
Result<std::vector<int64_t>> list_of(const Node& node, std::string_view name, size_t count) {
  const std::vector<int64_t>* given = node.ints(name);
  if (given == nullptr || given->empty()) return std::vector<int64_t>(count, 0);
  if (given->size() != count) {
    return invalid_model(cat(node.describe(), ": attribute ", name, " has ", given->size(),
                             " numbers, expected ", count));
  }
  return *given;
}

Result<std::vector<bool>> directions(const Node& node, std::string_view name, size_t count) {
  QUERN_ASSIGN(const std::vector<int64_t> numbers, list_of(node, name, count));
  std::vector<bool> reversed;
  for (const int64_t n : numbers) {
    if (n != 0 && n != 1) {
      return invalid_model(cat(node.describe(), ": a direction is ", n, ", expected 0 or 1"));
    }
    reversed.push_back(n == 1);
  }
  return reversed;
}

}  // namespace

Result<ScanForm> scan_form(const Node& node) {
  ScanForm form;
  form.is_batched = node.version < 9;
  form.first = form.is_batched ? 1 : 0;
  form.body = node.subgraph("body");
  const int64_t scans = node.int_or("num_scan_inputs", 0);
  const int64_t values = std::ssize(node.inputs) - static_cast<int64_t>(form.first);
  if (form.body == nullptr || scans < 1 || scans > values) {
    return invalid_model(cat(node.describe(), ": has ", node.inputs.size(), " inputs, of which ",
                             scans, " are scanned, or no body"));
  }
  form.scans = static_cast<size_t>(scans);
  form.states = static_cast<size_t>(values - scans);
  if (form.body->inputs.size() != form.states + form.scans ||
      form.body->outputs.size() != node.outputs.size() || node.outputs.size() < form.states) {
    return invalid_model(cat(node.describe(), ": the body must have ", values, " inputs and ",
                             node.outputs.size(), " outputs"));
  }
  for (size_t i = form.first; i < node.inputs.size(); ++i) {
    if (node.inputs[i] == nullptr) {
      return invalid_model(cat(node.describe(), ": input ", i, " is absent"));
    }
  }
  const size_t outputs = node.outputs.size() - form.states;
  if (form.is_batched) {
    form.input_axes.assign(form.scans, 0);
    form.output_axes.assign(outputs, 0);
    form.output_reversed.assign(outputs, false);
    QUERN_ASSIGN(form.input_reversed, directions(node, "directions", form.scans));
    return form;
  }
  QUERN_ASSIGN(form.input_axes, list_of(node, "scan_input_axes", form.scans));
  QUERN_ASSIGN(form.input_reversed, directions(node, "scan_input_directions", form.scans));
  QUERN_ASSIGN(form.output_axes, list_of(node, "scan_output_axes", outputs));
  QUERN_ASSIGN(form.output_reversed, directions(node, "scan_output_directions", outputs));
  return form;
}

}  // namespace quern
