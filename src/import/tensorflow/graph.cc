#include "import/tensorflow/graph.h"

#include <algorithm>
#include <memory>

#include "import/tensorflow/scope.h"

namespace quern::tensorflow {
namespace {

/// Families of operators that are known, and not read.
std::string_view refusal(std::string_view op) {
  const auto has = [&](std::string_view part) { return op.find(part) != op.npos; };
  if (has("HashTable") || has("LookupTable")) return "tables";
  if (has("FFT") || op == "Complex" || op == "Real" || op == "Imag") return "complex64 numbers";
  if (has("String")) return "strings";
  if (has("Sparse") || has("Ragged")) return "sparse tensors";
  if (has("VariableOp") || op == "VarHandleOp" || op == "VariableV2") {
    return "variables: freeze the graph, or give the SavedModel";
  }
  return {};
}

class ModelBuilder {
 public:
  explicit ModelBuilder(const Source& source)
      : source_(source),
        nodes_(source.graph.nodes),
        graph_(std::make_unique<Graph>()),
        translator_(source, *graph_, shared_) {
    shared_.index = source.index;
    model_.format = source.format;
    model_.producer = source.producer;
    model_.opsets[""] = emit::kOpset;
  }

  Result<Model> build() {
    inputs_ = source_.inputs;
    outputs_ = source_.outputs;
    if (outputs_.empty()) find_outputs();
    if (outputs_.empty()) return invalid_model("the graph has no outputs");
    QUERN_TRY(check_operators());
    if (inputs_.empty()) find_inputs();
    scope_.nodes = &nodes_;
    scope_.b = &translator_.root();
    QUERN_TRY(add_inputs());
    for (const Port& port : outputs_) QUERN_TRY(add_output(port));
    QUERN_TRY(graph_->sort());
    model_.metadata["quern.format"] = model_.format;
    model_.graph = std::move(graph_);
    return std::move(model_);
  }

 private:
  /// Nodes that no other one takes data of.
  void find_outputs() {
    std::set<std::string_view> used;
    for (const NodeDef& node : nodes_.list) {
      for (const std::string& input : node.inputs) used.insert(parse_input(input).node);
    }
    for (const NodeDef& node : nodes_.list) {
      const bool idle = node.op == "NoOp" || node.op == "Assert" || node.op == "Const" ||
                        node.op == "Placeholder";
      if (!idle && !used.contains(node.name)) outputs_.push_back({node.name, node.name, {}});
    }
  }

  void find_inputs() {
    for (const NodeDef& node : nodes_.list) {
      if (node.op == "Placeholder") inputs_.push_back({node.name, node.name, {}});
    }
  }

  /// The nodes that outputs need, in functions too.
  Result<void> check_operators() {
    struct Missing {
      std::string node;
      size_t count = 0;
    };
    std::map<std::string, Missing, std::less<>> missing;
    std::vector<const NodeDef*> open;
    std::set<const NodeDef*> seen;
    std::set<std::string_view> functions;
    const auto visit_name = [&](std::string_view name) {
      const NodeDef* node = nodes_.find(name);
      if (node != nullptr && seen.insert(node).second) open.push_back(node);
    };
    for (const Port& port : outputs_) visit_name(parse_input(port.tensor).node);
    while (!open.empty()) {
      const NodeDef* node = open.back();
      open.pop_back();
      if (find_operator(node->op) == nullptr) {
        Missing& one = missing[node->op];
        if (++one.count == 1) one.node = node->name;
      }
      for (const std::string_view name : function_names(*node)) {
        const auto function = source_.graph.functions.find(name);
        if (function == source_.graph.functions.end() || !functions.insert(function->first).second)
          continue;
        for (const NodeDef& inner : function->second.nodes) {
          if (seen.insert(&inner).second) open.push_back(&inner);
        }
      }
      if (nodes_.find(node->name) != node) continue;
      for (const std::string& input : node->inputs) {
        if (!input.starts_with('^')) visit_name(parse_input(input).node);
      }
    }
    if (missing.empty()) return {};
    std::string text = "unsupported operators: ";
    bool first = true;
    for (const auto& [op, use] : missing) {
      if (!first) text += "; ";
      first = false;
      text += cat(op, " at node '", use.node, "'");
      if (use.count > 1) text += cat(" and ", use.count - 1, " more");
      const std::string_view why = refusal(op);
      if (!why.empty()) text += cat(" (", why, ")");
    }
    return unsupported(std::move(text));
  }

  Result<void> add_inputs() {
    for (const Port& port : inputs_) {
      const InputName name = parse_input(port.tensor);
      const NodeDef* node = nodes_.find(name.node);
      if (node == nullptr)
        return invalid_model(cat("input '", port.name, "' is no node of the graph"));
      if (scope_.values.contains(node)) continue;
      const auto type = node->attributes.find("dtype");
      const DType dtype = type == node->attributes.end() ? DType::kF32 : type->second.type;
      if (bit_width(dtype) == 0 || dtype == DType::kC64 || dtype == DType::kC128) {
        return unsupported(cat("input '", port.name, "' is of type ", name_of(dtype)));
      }
      PartialShape shape = port.shape;
      const auto own = node->attributes.find("shape");
      if (own != node->attributes.end() && own->second.shape && *own->second.shape)
        shape = *own->second.shape;
      std::optional<Shape> dims;
      if (shape) {
        std::string word;
        for (const char c : port.name) {
          const bool is_word =
              (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
          word += is_word ? c : '_';
        }
        if (word.empty() || (word[0] >= '0' && word[0] <= '9')) word = cat("input_", word);
        dims.emplace();
        for (size_t i = 0; i < shape->size(); ++i) {
          dims->push_back((*shape)[i] < 0 ? Dim::symbol(cat(word, "_dim", i)) : Dim((*shape)[i]));
        }
      }
      Value* value = graph_->add_input(port.name, Type::tensor(dtype, dims));
      scope_.values[node] = {{value, dtype, dims ? dims->size() : kUnknownRank}};
    }
    return {};
  }

  Result<void> add_output(const Port& port) {
    Emitter& b = translator_.root();
    const Tensor x = translator_.value(scope_, port.tensor);
    QUERN_TRY(b.located());
    if (!x) return internal_error(cat("output '", port.name, "' is computed nowhere"));
    Value* value = x.value;
    if (!value->type.is_tensor())
      return unsupported(cat("output '", port.name, "' is a list of tensors"));
    if (x.dtype == DType::kString)
      return unsupported(cat("output '", port.name, "' holds strings"));
    if (value->producer == nullptr || graph_->is_output(value) || value->graph != graph_.get()) {
      b.set_scope(port.name);
      value = b.op("Identity", {x}, {}, x.dtype, x.rank).value;
    }
    value->name = port.name;
    graph_->outputs.push_back(value);
    return b.located();
  }

  const Source& source_;
  Nodes nodes_;
  Model model_;
  std::unique_ptr<Graph> graph_;
  Shared shared_;
  Translator translator_;
  Scope scope_;
  std::vector<Port> inputs_, outputs_;
};

}  // namespace

Result<Model> build_model(const Source& source) {
  auto model = ModelBuilder(source).build();
  if (!model) return model;
  // Shapes as far as the importer followed them are its own affair.
  for (Value* output : model->graph->outputs) {
    output->type.shape.reset();
  }
  for_each_node(*model->graph, [](Node& node) {
    for (Value* output : node.outputs) {
      output->contents.reset();
      if (output->type.is_tensor()) {
        output->type.shape.reset();
      } else {
        output->type =
            Type::container(output->type.kind, Type::tensor(output->type.dtype, std::nullopt));
      }
    }
  });
  return model;
}

}  // namespace quern::tensorflow
