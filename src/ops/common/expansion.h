// Building the simpler nodes of an OpDef::expand.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/graph.h"

namespace quern {

/// Adds nodes before one node, of its operator-set version, and puts their values in its place.
class Expansion {
 public:
  Expansion(Graph& graph, Node& node) : Expansion(graph, node, node.version) {}
  /// Nodes of another version: where the expanded node is of another domain.
  Expansion(Graph& graph, Node& node, int version)
      : graph_(graph), node_(node), version_(version) {}

  using Attributes = std::initializer_list<std::pair<std::string_view, AttributeValue>>;
  Value* add(std::string op, std::vector<Value*> inputs, Attributes attributes = {}) {
    return add_in("", version_, std::move(op), std::move(inputs), attributes);
  }
  /// Of another domain.
  Value* add_in(std::string domain, int version, std::string op, std::vector<Value*> inputs,
                Attributes attributes = {}) {
    Node* node =
        graph_.add_node(std::move(op), std::move(inputs), 1, &node_, std::move(domain), version);
    for (const auto& [name, value] : attributes) node->attributes[std::string(name)] = value;
    return node->outputs[0];
  }
  /// A node with several outputs.
  std::vector<Value*> add_many(std::string op, std::vector<Value*> inputs, size_t outputs,
                               Attributes attributes = {}) {
    Node* node = graph_.add_node(std::move(op), std::move(inputs), outputs, &node_, "", version_);
    for (const auto& [name, value] : attributes) node->attributes[std::string(name)] = value;
    return node->outputs;
  }
  /// A list of integers as an i64 constant.
  Value* ints(const std::vector<int64_t>& values) {
    const auto n = static_cast<int64_t>(values.size());
    return graph_.add_constant("", make_constant(HostTensor::of_ints(DType::kI64, {n}, values)));
  }
  Value* integer(int64_t value) {
    return graph_.add_constant("", make_constant(HostTensor::of_ints(DType::kI64, {}, {value})));
  }
  Value* integer_of(DType dtype, int64_t value) {
    return graph_.add_constant("", make_constant(HostTensor::of_ints(dtype, {}, {value})));
  }
  /// A number of an element type.
  Value* number(DType dtype, double value) {
    HostTensor t;
    t.dtype = dtype;
    t.bytes.resize(byte_size(dtype, 1));
    t.set_float(0, value);
    return graph_.add_constant("", make_constant(std::move(t)));
  }
  /// The extent of a value along an axis, an i64 list of one.
  Value* extent(Value* value, int64_t axis) {
    return add("Shape", {value}, {{"start", axis}, {"end", axis + 1}});
  }

  /// Is the output there, and used?
  [[nodiscard]] bool wants(size_t output) const {
    const Value* v = node_.output(output);
    return v != nullptr && (!v->uses.empty() || graph_.is_output(v));
  }
  /// `value` in place of an output.
  void replace(size_t output, Value* value) {
    if (Value* old = node_.output(output)) {
      if (value->type.kind == Type::Kind::kTensor && value->type.dtype == DType::kUndefined) {
        value->type = old->type;
      }
      graph_.replace_uses(old, value);
    }
  }
  /// Removes the node, whose outputs have been replaced.
  void finish() { graph_.erase(&node_); }

 private:
  Graph& graph_;
  Node& node_;
  int version_;
};

}  // namespace quern
