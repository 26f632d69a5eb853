#include "passes/placement.h"

#include <algorithm>
#include <functional>
#include <map>

#include "ops/op_def.h"
#include "passes/passes.h"

namespace quern {
namespace {

/// Contents worth computing on the host without need: an extent or a few of them.
bool is_small_integer(const Value& value) {
  const Type& type = value.type;
  if (!is_integer(type.dtype) && type.dtype != DType::kBool) {
    // A float scalar made from dims (a scale, say).
    return is_float(type.dtype) && type.shape && element_count(*type.shape) == Dim(1);
  }
  return type.shape && type.shape->size() <= 1;
}

/// Could an input's contents be shape arithmetic, to be done on the host? Not those of many
/// elements, or of two axes and more that may be of any extent.
bool may_be_read(const Type& type) {
  constexpr int64_t kFew = 64;
  if (type.dtype == DType::kString) return true;
  if (is_float(type.dtype)) return type.shape && type.shape->size() <= 1;
  if (!is_integer(type.dtype) && type.dtype != DType::kBool) return false;
  if (!type.shape) return true;
  const Dim count = element_count(*type.shape);
  return count.is_const() ? count.value() <= kFew : type.shape->size() <= 1;
}

/// Asks about a value, not for its contents.
bool is_shape_query(const Node& node) {
  return node.is("Shape") || node.is("Size") || node.is("SequenceLength") ||
         node.is("OptionalHasElement");
}

bool has_map(const Type& type) {
  return type.kind == Type::Kind::kMap || (type.element && has_map(*type.element));
}

bool is_string(const Value* value) {
  return value != nullptr && value->type.is_tensor() && value->type.dtype == DType::kString;
}

bool runs_on_host(const Node& node, const OpDef& def) {
  return def.is_host || (!def.is_control && !def.is_sequence && has_strings(node));
}

/// Operators whose output may be large though its inputs are host values: they go to the device
/// unless the host needs them.
bool makes_tensor(const Node& node) {
  return node.is("Range") || node.is("ConstantOfShape") || node.is("Expand") || node.is("Tile") ||
         node.is("EyeLike") || node.is("OneHot") || node.is("NonZero");
}

class Placer {
 public:
  explicit Placer(Graph& graph) : graph_(graph) {
    uint32_t values = 0;
    uint32_t nodes = 0;
    measure(graph, values, nodes);
    placement_.host_needed.resize(values);
    placement_.host_node.resize(nodes);
    placement_.constant.resize(values);
    available_.resize(values);
    host_.resize(values);
  }

  Placement run() {
    forward(graph_, true);
    // Strings cannot be anywhere else, in containers neither; maps are looked up by the host.
    for (const Value* input : graph_.inputs) {
      if (input->type.dtype == DType::kString || has_map(input->type)) need(input);
    }
    // Needs run against the order of nodes; loop-carried values need a second look.
    for (int round = 0; round < 2; ++round) backward(graph_);
    assign(graph_);
    for (uint32_t i = 0; i < graph_.inputs.size(); ++i) {
      if (placement_.host_needed[graph_.inputs[i]->id]) placement_.host_inputs.push_back(i);
    }
    return std::move(placement_);
  }

 private:
  static void measure(Graph& graph, uint32_t& values, uint32_t& nodes) {
    for (const auto& value : graph.values()) values = std::max(values, value->id + 1);
    for (const auto& node : graph.nodes()) {
      nodes = std::max(nodes, node->id + 1);
      for (Graph* body : node->subgraphs()) measure(*body, values, nodes);
    }
  }

  /// Which values could be had on the host without reading anything back, and which never change.
  void forward(Graph& graph, bool is_main) {
    for (Value* input : graph.inputs) {
      const DType t = input->type.dtype;
      available_[input->id] = is_main && may_be_read(input->type);
      // Loop counters and conditions are the walk's own; carried values may be anything.
      if (!is_main) available_[input->id] = input->type.dtype == DType::kI64 || t == DType::kBool;
    }
    for (const auto& value : graph.values()) {
      if (value->constant) {
        available_[value->id] = value->constant->is_inline();
        placement_.constant[value->id] = 1;
      }
    }
    for (const auto& node : graph.nodes()) {
      const OpDef* def = find_op(*node);
      for (Graph* body : node->subgraphs()) forward(*body, false);
      bool available = def != nullptr && !def->is_random;
      bool constant =
          available && !def->is_control && !def->is_sequence && !runs_on_host(*node, *def);
      for (const Value* input : node->inputs) {
        if (input == nullptr) continue;
        available = available && available_[input->id];
        constant = constant && placement_.constant[input->id];
      }
      if (is_shape_query(*node)) available = true;
      if (def != nullptr && def->is_control) available = false;
      if (node->inputs.empty() && def != nullptr && def->is_random) constant = false;
      for (const Value* output : node->outputs) {
        available_[output->id] = available || (def != nullptr && runs_on_host(*node, *def));
        placement_.constant[output->id] = constant;
      }
    }
  }

  void need(const Value* value) {
    if (value != nullptr) placement_.host_needed[value->id] = 1;
  }

  void backward(Graph& graph) {
    for (size_t n = graph.nodes().size(); n-- > 0;) {
      const Node& node = *graph.nodes()[n];
      const OpDef* def = find_op(node);
      if (def == nullptr) continue;
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        if (i < 32 && (def->host_inputs >> i & 1) != 0) need(node.inputs[i]);
      }
      if (def->is_control) {
        for (Graph* body : node.subgraphs()) {
          // A body's output is needed where the node's is; If has one output to one.
          const size_t skip = node.is("If") ? 0 : 1;
          for (size_t i = 0; i + skip < body->outputs.size() && i < node.outputs.size(); ++i) {
            if (placement_.host_needed[node.outputs[i]->id]) need(body->outputs[i + skip]);
          }
          if (node.is("Loop") && !body->outputs.empty()) need(body->outputs[0]);
          backward(*body);
          if (node.is("Loop")) {
            for (size_t i = 2; i < body->inputs.size() && i < node.inputs.size(); ++i) {
              if (placement_.host_needed[body->inputs[i]->id]) {
                need(node.inputs[i]);
                need(body->outputs[i - 1]);
              }
            }
          }
        }
        continue;
      }
      const bool needed = std::ranges::any_of(
          node.outputs, [&](const Value* v) { return placement_.host_needed[v->id]; });
      const bool wanted = (needed && available_[node.outputs[0]->id]) || runs_on_host(node, *def);
      if (wanted && !is_shape_query(node)) {
        for (const Value* input : node.inputs) need(input);
      }
    }
  }

  void assign(Graph& graph) {
    for (const auto& value : graph.values()) {
      if (placement_.host_needed[value->id] && available_[value->id]) host_[value->id] = 1;
    }
    for (const auto& node : graph.nodes()) {
      const OpDef* def = find_op(*node);
      if (def == nullptr) continue;
      bool on_host = runs_on_host(*node, *def) || is_shape_query(*node);
      if (!def->is_control && !def->is_sequence && !on_host &&
          available_[node->outputs.empty() ? 0 : node->outputs[0]->id]) {
        on_host = std::ranges::any_of(
            node->outputs, [&](const Value* v) { return placement_.host_needed[v->id] != 0; });
        if (!on_host && !makes_tensor(*node)) {
          // Shape arithmetic that only the device uses: cheaper as an uploaded number.
          bool any = false;
          on_host = std::ranges::all_of(node->outputs,
                                        [](const Value* v) { return is_small_integer(*v); });
          for (const Value* input : node->inputs) {
            if (input == nullptr || input->is_constant()) continue;
            any = true;
            on_host = on_host && host_[input->id];
          }
          on_host = on_host && any;
        }
      }
      placement_.host_node[node->id] = on_host;
      for (const Value* output : node->outputs) {
        if (on_host) host_[output->id] = 1;
      }
      for (Graph* body : node->subgraphs()) assign(*body);
    }
  }

  Graph& graph_;
  Placement placement_;
  std::vector<uint8_t> available_;
  std::vector<uint8_t> host_;
};

}  // namespace

bool has_strings(const Node& node) {
  return std::ranges::any_of(node.inputs, is_string) ||
         std::ranges::any_of(node.outputs, is_string);
}

Placement place(Graph& graph) { return Placer(graph).run(); }

bool is_used_by_run(const Value& value, const Placement& placement) {
  return value.graph->is_output(&value) || std::ranges::any_of(value.uses, [&](const Use& u) {
           return u.node->outputs.empty() || !placement.constant[u.node->outputs[0]->id];
         });
}

std::set<uint32_t> load_only_weights(Graph& graph, const Placement& placement) {
  const std::set<const Value*> results = body_outputs(graph);
  // A node that is done once: its results stay. One that gives others of the load program theirs
  // is done again where those are, and a view has the weight's own memory.
  const auto reads_once = [&](const Node& node) {
    const OpDef* def = find_op(node);
    return def != nullptr && !def->is_view && !placement.host_node[node.id] &&
           node.graph->name != "fused" && !node.outputs.empty() &&
           std::ranges::all_of(node.outputs, [&](const Value* v) {
             return v == nullptr || (placement.constant[v->id] && is_used_by_run(*v, placement));
           });
  };
  std::map<uint32_t, const Node*> readers;  // by weight; null: not one alone
  const std::function<void(const Graph&)> look = [&](const Graph& g) {
    for (const auto& value : g.values()) {
      if (!value->constant || value->constant->is_inline()) continue;
      const uint32_t weight = value->constant->weight;
      if (results.contains(value.get()) || placement.host_needed[value->id]) {
        readers[weight] = nullptr;
      }
      for (const Use& use : value->uses) {
        const auto [it, is_new] = readers.try_emplace(weight, use.node);
        if (it->second != use.node || !reads_once(*use.node)) it->second = nullptr;
      }
    }
    for (const auto& node : g.nodes()) {
      for (const Graph* body : node->subgraphs()) look(*body);
    }
  };
  look(graph);
  std::set<uint32_t> out;
  for (const auto& [weight, reader] : readers) {
    if (reader != nullptr) out.insert(weight);
  }
  return out;
}

}  // namespace quern
