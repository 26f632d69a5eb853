// What is known at load is computed at load: constants, shapes, branches.

#include <algorithm>
#include <optional>

#include "ops/compose.h"
#include "ops/op_def.h"
#include "passes/passes.h"

namespace quern {
namespace {

/// Larger constants stay out of the core's memory; what depends on them is computed once on the
/// device (the load program).
constexpr uint64_t kMaxFoldBytes = 64 << 10;

std::optional<HostTensor> known_contents(const Value& value) {
  if (value.constant && value.constant->is_inline()) return value.constant->host;
  if (!value.contents || !value.type.shape) return std::nullopt;
  const auto dims = constant_dims(*value.type.shape);
  if (!dims) return std::nullopt;
  std::vector<int64_t> numbers;
  for (const Dim& d : *value.contents) {
    if (!d.is_const()) return std::nullopt;
    numbers.push_back(d.value());
  }
  return HostTensor::of_ints(value.type.dtype, *dims, numbers);
}

/// The node's outputs, where all its inputs are small constants and the results small.
std::optional<std::vector<HostTensor>> try_evaluate(const Node& node, const OpDef& def) {
  OpFrame frame;
  frame.node = &node;
  frame.def = &def;
  frame.host_baked = ~uint64_t{0};
  std::vector<InferContext::Input> inputs(node.inputs.size());
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    const Value* v = node.inputs[i];
    frame.inputs.emplace_back();
    frame.host.push_back(nullptr);
    if (v == nullptr) continue;
    if (!v->constant || !v->constant->is_inline()) return std::nullopt;
    const HostTensor& host = v->constant->host;
    TensorInfo& info = frame.inputs[i];
    info.present = true;
    info.dtype = host.dtype;
    info.dims = host.dims;
    info.baked = UINT32_MAX;
    frame.host[i] = &host;
    inputs[i].present = true;
    inputs[i].type = v->type;
    inputs[i].host = &host;
  }
  InferContext context(node, std::move(inputs));
  if (!def.infer(context)) return std::nullopt;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    TensorInfo info;
    info.present = node.outputs[i] != nullptr;
    const Type& type = context.outputs()[i].type;
    if (type.kind != Type::Kind::kTensor || !type.shape) return std::nullopt;
    const auto dims = constant_dims(*type.shape);
    if (!dims) return std::nullopt;
    info.dtype = type.dtype;
    info.dims = *dims;
    info.baked = UINT32_MAX;
    const auto count = element_count(info.dims);
    if (!count || byte_size(info.dtype, static_cast<uint64_t>(*count)) > kMaxFoldBytes ||
        *count > static_cast<int64_t>(kMaxFoldBytes)) {
      return std::nullopt;
    }
    frame.outputs.push_back(std::move(info));
  }
  auto results = evaluate_node(frame);
  // A node that fails on its constants fails when it runs, with its name; it may never run.
  if (!results) return std::nullopt;
  return *std::move(results);
}

class Folder {
 public:
  explicit Folder(PassReport& report) : report_(report) {}

  Result<void> run(Graph& graph) {
    for (size_t i = 0; i < graph.nodes().size();) {
      Node& node = *graph.nodes()[i];
      QUERN_ASSIGN(const bool gone, visit(graph, node));
      if (!gone) ++i;
    }
    return {};
  }

 private:
  /// True where the node at this place is another one now.
  Result<bool> visit(Graph& graph, Node& node) {
    const OpDef* def = find_op(node);
    if (def == nullptr || node.is("Fused", "quern")) return false;
    if (node.is("If")) {
      QUERN_ASSIGN(const bool inlined, inline_branch(graph, node));
      if (inlined) return true;
    }
    for (Graph* body : node.subgraphs()) QUERN_TRY(run(*body));
    if (def->is_control || def->is_random || node.outputs.empty()) return false;
    if (def->is_sequence && !node.outputs[0]->type.is_tensor()) return false;

    if (node.is("Identity") && !graph.is_output(node.outputs[0])) {
      graph.replace_uses(node.outputs[0], node.inputs[0]);
      graph.erase(&node);
      ++report_.hits["identity"];
      return true;
    }
    // Contents found by inference: shape arithmetic over static dims.
    bool known = true;
    std::vector<HostTensor> results;
    for (const Value* v : node.outputs) {
      std::optional<HostTensor> contents = v == nullptr ? std::nullopt : known_contents(*v);
      known = known && contents.has_value();
      if (known) results.push_back(*std::move(contents));
    }
    if (!known) {
      QUERN_ASSIGN(const bool viewed, view_of_weight(graph, node, *def));
      if (viewed) return true;
      auto evaluated = try_evaluate(node, *def);
      if (!evaluated) return false;
      results = *std::move(evaluated);
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] == nullptr) continue;
      replace(graph, node.outputs[i], make_constant(std::move(results[i])));
    }
    graph.erase(&node);
    ++report_.hits["folded"];
    return true;
  }

  static void replace(Graph& graph, Value* old, ConstantPtr constant) {
    Value* value = graph.add_constant(old->name, std::move(constant));
    const Constant& c = *value->constant;
    value->type = Type::tensor(c.dtype, Shape(c.dims.begin(), c.dims.end()));
    if (c.is_inline() && (is_integer(c.dtype) || c.dtype == DType::kBool) &&
        c.host.count() <= kMaxContents) {
      std::vector<Dim> contents;
      for (int64_t i = 0; i < c.host.count(); ++i) contents.emplace_back(c.host.int_at(i));
      value->contents = std::move(contents);
    }
    graph.replace_uses(old, value);
  }

  /// A view of a weight is the weight under other dims.
  Result<bool> view_of_weight(Graph& graph, Node& node, const OpDef& def) {
    const Value* in = node.input(0);
    if (!def.is_view || in == nullptr || !in->constant || in->constant->is_inline()) return false;
    if (node.outputs.size() != 1 || !node.outputs[0]->type.shape) return false;
    const auto dims = constant_dims(*node.outputs[0]->type.shape);
    if (!dims || node.outputs[0]->type.dtype != in->constant->dtype) return false;
    auto view = std::make_shared<Constant>(*in->constant);
    view->dims = *dims;
    replace(graph, node.outputs[0], std::move(view));
    graph.erase(&node);
    ++report_.hits["folded"];
    return true;
  }

  Result<bool> inline_branch(Graph& graph, Node& node) {
    const auto condition = known_contents(*node.inputs[0]);
    if (!condition || condition->count() != 1) return false;
    const std::string_view name = condition->int_at(0) != 0 ? "then_branch" : "else_branch";
    Graph* branch = node.subgraph(name);
    if (branch == nullptr || branch->outputs.size() != node.outputs.size()) return false;
    QUERN_ASSIGN(std::vector<Value*> outputs, graph.inline_body(*branch, {}, &node));
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (node.outputs[i] != nullptr) graph.replace_uses(node.outputs[i], outputs[i]);
    }
    graph.erase(&node);
    ++report_.hits["branch"];
    return true;
  }

  PassReport& report_;
};

}  // namespace

Result<void> fold_constants(Graph& graph, PassReport& report) {
  QUERN_TRY(Folder(report).run(graph));
  graph.remove_unused_values();
  return infer_shapes(graph);
}

}  // namespace quern
