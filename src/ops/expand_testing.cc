#include "ops/expand_testing.h"

#include <map>

#include "ops/compose.h"

namespace quern::optest {
namespace {

/// Visits the nodes in order, all of whose inputs are known by then.
class Interpreter {
 public:
  explicit Interpreter(Graph& graph) : graph_(graph) {}

  Result<void> run() {
    size_t budget = 1000;
    for (size_t i = 0; i < graph_.nodes().size();) {
      if (budget-- == 0) return internal_error("the expansion has no end");
      Node& node = *graph_.nodes()[i];
      const OpDef* def = find_op(node);
      if (def == nullptr) return unsupported(cat("no operator ", node.op));
      for (Value* input : node.inputs) {
        if (input == nullptr) continue;
        const HostTensor& tensor = host(input);
        input->type = Type::tensor(tensor.dtype, Shape(tensor.dims.begin(), tensor.dims.end()));
      }
      if (def->expand != nullptr) {
        QUERN_ASSIGN(const bool expanded, def->expand(graph_, node));
        if (expanded) continue;
      }
      QUERN_TRY(evaluate(node, *def));
      ++i;
    }
    return {};
  }
  const HostTensor& host(const Value* value) {
    return value->constant ? value->constant->host : values_[value];
  }

 private:
  Result<void> evaluate(const Node& node, const OpDef& def) {
    OpFrame frame{.node = &node, .def = &def, .host_baked = UINT64_MAX};
    std::vector<InferContext::Input> seen;
    for (const Value* input : node.inputs) {
      frame.inputs.emplace_back();
      frame.host.push_back(nullptr);
      seen.emplace_back();
      if (input == nullptr) continue;
      const HostTensor& tensor = host(input);
      frame.inputs.back() = {
          .dtype = tensor.dtype, .dims = tensor.dims, .baked = UINT32_MAX, .present = true};
      frame.host.back() = &tensor;
      seen.back() = {.type = input->type, .present = true, .host = &tensor};
    }
    InferContext context(node, std::move(seen));
    QUERN_TRY(def.infer(context));
    for (size_t k = 0; k < node.outputs.size(); ++k) {
      const Type& type = context.outputs()[k].type;
      std::optional<Dims> dims;
      if (type.shape) dims = constant_dims(*type.shape);
      if (!dims) return internal_error(cat(node.op, ": an output's dims are not known"));
      frame.outputs.push_back({.dtype = type.dtype,
                               .dims = *dims,
                               .baked = UINT32_MAX,
                               .present = node.outputs[k] != nullptr});
    }
    QUERN_ASSIGN(std::vector<HostTensor> results, evaluate_node(frame));
    for (size_t k = 0; k < results.size(); ++k) {
      if (node.outputs[k] != nullptr) values_[node.outputs[k]] = std::move(results[k]);
    }
    return {};
  }

  Graph& graph_;
  std::map<const Value*, HostTensor> values_;
};

}  // namespace

Result<std::vector<HostTensor>> run_expanded(const OpCall& call,
                                             const std::vector<std::optional<HostTensor>>& inputs) {
  Graph graph;
  std::vector<Value*> values;
  for (const std::optional<HostTensor>& input : inputs) {
    values.push_back(input ? graph.add_constant("", make_constant(*input)) : nullptr);
  }
  Node* node = graph.add_node(call.op, values, call.outputs, nullptr, call.domain, call.version);
  node->name = "test";
  node->attributes = call.attributes;
  graph.outputs = node->outputs;
  Interpreter interpreter(graph);
  QUERN_TRY(interpreter.run());
  std::vector<HostTensor> results;
  for (const Value* output : graph.outputs) results.push_back(interpreter.host(output));
  return results;
}

std::string expanded_text(const OpCall& call,
                          const std::vector<std::optional<HostTensor>>& inputs) {
  const Result<std::vector<HostTensor>> results = run_expanded(call, inputs);
  if (!results) return cat("error: ", results.error().message);
  std::string out;
  for (const HostTensor& tensor : *results) append(out, cat(out.empty() ? "" : "; ", text(tensor)));
  return out;
}

}  // namespace quern::optest
