#include "import/torch/graph.h"

#include <set>

#include "import/torch/operators.h"
#include "ir/operator_list.h"

namespace quern::torch {
namespace {

constexpr size_t kMostInputs = 100'000;

/// The kinds of input that name something stored, and the member with its name.
constexpr std::pair<std::string_view, std::string_view> kStored[] = {
    {"parameter", "parameter_name"},
    {"buffer", "buffer_name"},
    {"tensor_constant", "tensor_constant_name"},
};

/// The name of an argument of a tensor: {"as_tensor": {"name": ..}} or {"name": ..}.
std::string_view tensor_name(const Json& argument) {
  const Json& inner = member(argument, "as_tensor");
  return text_of(member(inner.is_object() ? inner : argument, "name"));
}

/// Of a spec {"kind": {...}}: the kind.
std::string_view kind_of(const Json& spec) {
  return spec.is_object() && !spec.empty() ? std::string_view(spec.begin().key())
                                           : std::string_view();
}

/// A part of the graph that torch.no_grad() and the like make a graph of its own.
constexpr std::string_view kWrapper = "higher_order.wrap_with_set_grad_enabled";
constexpr int kMostNested = 16;

/// The nested graph among a node's arguments.
const Json& nested_graph(const Json& node) {
  for (const Json& input : items_of(member(node, "inputs"))) {
    const Json& graph = member(member(member(input, "arg"), "as_graph"), "graph");
    if (graph.is_object()) return graph;
  }
  return member(node, "");
}

class ProgramBuilder {
 public:
  explicit ProgramBuilder(const Json& program)
      : module_(member(program, "graph_module")),
        graph_json_(member(module_, "graph")),
        bounds_(read_symbol_bounds(member(program, "range_constraints"))),
        graph_(std::make_unique<Graph>()),
        b_(*graph_),
        values_(b_),
        weights_(b_, model_.weights) {
    model_.format = "torch.export";
    model_.producer = cat("PyTorch ", text_of(member(program, "torch_version")));
    model_.opsets[""] = kOpset;
  }

  Result<Model> build(const std::function<Result<void>(Weights&)>& fill) {
    QUERN_TRY(check_operators());
    QUERN_TRY(read_metas(graph_json_));
    QUERN_TRY(fill(weights_));
    QUERN_TRY(add_inputs());
    for (const Json& node : items_of(member(graph_json_, "nodes"))) {
      QUERN_TRY(add_node(node));
    }
    QUERN_TRY(add_outputs());
    QUERN_TRY(b_.status());
    QUERN_TRY(graph_->sort());
    add_metadata();
    model_.graph = std::move(graph_);
    return std::move(model_);
  }

 private:
  Result<void> check_operators() {
    OperatorList missing;
    std::vector<const Json*> graphs = {&graph_json_};
    for (size_t i = 0; i < graphs.size(); ++i) {
      for (const Json& node : items_of(member(*graphs[i], "nodes"))) {
        const std::string_view target = short_target(text_of(member(node, "target")));
        if (find_operator(target).op != nullptr) continue;
        if (target == kWrapper) {
          graphs.push_back(&nested_graph(node));
          continue;
        }
        std::string_view name = text_of(member(node, "name"));
        const Json::array_t& outputs = items_of(member(node, "outputs"));
        if (name.empty() && !outputs.empty()) name = tensor_name(outputs[0]);
        missing.add(std::string(target), name);
      }
    }
    if (missing.empty()) return {};
    missing.sort();
    return unsupported(cat("unsupported operators: ", missing.text()));
  }

  Result<void> read_metas(const Json& graph) {
    const Json& metas = member(graph, "tensor_values");
    if (!metas.is_object()) return invalid_model("the graph has no tensor_values");
    for (const auto& [name, meta] : metas.items()) {
      auto read = read_tensor_meta(meta, bounds_);
      if (!read) return std::unexpected(std::move(read).error().in(cat("tensor '", name, "'")));
      metas_[name] = *std::move(read);
    }
    return {};
  }

  Result<void> add_inputs() {
    const Json::array_t& specs = items_of(member(member(module_, "signature"), "input_specs"));
    if (specs.size() > kMostInputs) return limit_exceeded(cat(specs.size(), " inputs"));
    for (const Json& spec : specs) {
      const std::string_view kind = kind_of(spec);
      const Json& content = member(spec, kind);
      bool stored = false;
      for (const auto& [stored_kind, key] : kStored) {
        if (kind != stored_kind) continue;
        stored = true;
        const std::string_view source = text_of(member(content, key));
        const Tensor tensor = weights_.load(source);
        if (kind == "buffer") buffers_[std::string(source)] = tensor;
        values_.define(tensor_name(member(content, "arg")), tensor,
                       kind == "buffer" ? source : std::string_view());
      }
      if (stored || kind == "constant_input" || kind == "token") continue;
      if (kind != "user_input") {
        return unsupported(cat("an input of kind '", kind, "': tensors and numbers are read"));
      }
      QUERN_TRY(add_user_input(member(content, "arg")));
    }
    return b_.status();
  }

  Result<void> add_user_input(const Json& argument) {
    const std::string_view symbol = text_of(member(member(argument, "as_sym_int"), "as_name"));
    if (!symbol.empty()) {
      Value* value = graph_->add_input(std::string(symbol), Type::tensor(DType::kI64, Shape()));
      values_.define_size(symbol, {.value = b_.unsqueeze({value, DType::kI64, 0}, {0}).value});
      return {};
    }
    const std::string_view name = tensor_name(argument);
    if (name.empty()) return {};  // a number or None, fixed by the export
    const auto meta = metas_.find(name);
    if (meta == metas_.end()) return invalid_model(cat("input '", name, "' has no type"));
    Value* value =
        graph_->add_input(std::string(name), Type::tensor(meta->second.dtype, meta->second.sizes));
    values_.define(name, {value, meta->second.dtype, meta->second.sizes.size()}, name);
    return {};
  }

  /// The nodes of a nested graph in the node's place.
  Result<void> add_nested(const Json& node, const Call& call) {
    if (++nested_ > kMostNested) return limit_exceeded("graphs are nested too deep");
    const Json& graph = nested_graph(node);
    const auto outer_names = values_.names();
    const auto outer_metas = metas_;
    // What follows the graph among the arguments are its inputs.
    std::vector<std::string_view> given;
    bool after = false;
    for (const Json& input : items_of(member(node, "inputs"))) {
      const Json& argument = member(input, "arg");
      if (after) given.push_back(argument_name(argument));
      after = after || argument.contains("as_graph");
    }
    const Json::array_t& inputs = items_of(member(graph, "inputs"));
    if (given.size() != inputs.size()) {
      return invalid_model(
          cat(call.describe(), ": ", given.size(), " arguments for ", inputs.size(), " inputs"));
    }
    QUERN_TRY(read_metas(graph));
    for (size_t i = 0; i < given.size(); ++i) {
      values_.adopt(argument_name(inputs[i]), *outer_names, given[i]);
    }
    for (const Json& inner : items_of(member(graph, "nodes"))) QUERN_TRY(add_node(inner));
    const auto inner_names = values_.names();
    values_.set_names(*outer_names);
    metas_ = outer_metas;
    const Json::array_t& outputs = items_of(member(graph, "outputs"));
    for (size_t i = 0; i < call.outputs() && i < outputs.size(); ++i) {
      values_.adopt(call.output_name(i), *inner_names, argument_name(outputs[i]));
    }
    --nested_;
    return {};
  }

  static std::string_view argument_name(const Json& argument) {
    const std::string_view symbol = text_of(member(member(argument, "as_sym_int"), "as_name"));
    return symbol.empty() ? tensor_name(argument) : symbol;
  }

  Result<void> add_node(const Json& node) {
    Call call(b_, values_, node, metas_);
    if (call.target() == kWrapper) return add_nested(node, call);
    const Found found = find_operator(call.target());
    b_.set_scope(std::string(text_of(member(node, "name"))));
    call.set_in_place(found.in_place);
    found.op->translate(call, found.op->ours);
    auto status = b_.status();
    if (status) return {};
    Error error = std::move(status).error();
    const std::string where = call.describe();
    return std::unexpected(error.message.starts_with("node ") ? std::move(error)
                                                              : std::move(error).in(where));
  }

  /// A value of this name as an output: of its own, since one value may be given out twice, and
  /// inputs and constants are none.
  void add_output(std::string name, const Tensor& tensor) {
    if (b_.failed() || !tensor) return;
    Value* value = tensor.value;
    if (value->producer == nullptr || graph_->is_output(value)) {
      b_.set_scope(name);
      value = b_.op("Identity", {tensor}).value;
    }
    value->name = std::move(name);
    graph_->outputs.push_back(value);
  }

  Result<void> add_outputs() {
    const Json::array_t& specs = items_of(member(member(module_, "signature"), "output_specs"));
    std::map<std::string, Tensor, std::less<>> mutated;
    for (const Json& spec : specs) {
      const std::string_view kind = kind_of(spec);
      const Json& content = member(spec, kind);
      const Json& argument = member(content, "arg");
      const std::string_view name = tensor_name(argument);
      if (kind == "user_output") {
        add_user_output(argument, name);
        continue;
      }
      std::string_view source = text_of(member(content, "buffer_name"));
      if (source.empty()) source = text_of(member(content, "user_input_name"));
      if (kind == "token" || source.empty()) {
        if (kind != "token") return unsupported(cat("an output of kind '", kind, "'"));
        continue;
      }
      const auto tensor = values_.get(name);
      if (!tensor) return invalid_model(cat("output '", name, "' is computed nowhere"));
      mutated[std::string(source)] = *tensor;
    }
    for (const auto& [source, tensor] : values_.changed()) mutated[source] = tensor;
    for (const auto& [source, tensor] : mutated) add_output(cat(source, "_out"), tensor);
    for (const Value* input : graph_->inputs) {
      model_.inputs.push_back({input->name, input->type, input->id, false});
    }
    for (const auto& [source, tensor] : mutated) {
      const auto buffer = buffers_.find(source);
      if (buffer == buffers_.end() || !buffer->second.value->is_constant()) continue;
      Value* value = buffer->second.value;
      if (value->name.empty()) value->name = source;
      const bool listed = std::ranges::any_of(
          model_.inputs, [&](const ModelInput& input) { return input.value == value->id; });
      if (!listed) model_.inputs.push_back({value->name, value->type, value->id, true});
    }
    return b_.status();
  }

  void add_user_output(const Json& argument, std::string_view name) {
    if (!name.empty()) {
      const auto tensor = values_.get(name);
      if (!tensor) return b_.invalid(cat("output '", name, "' is computed nowhere"));
      return add_output(std::string(name), *tensor);
    }
    const std::string_view symbol = text_of(member(member(argument, "as_sym_int"), "as_name"));
    if (const Size* size = values_.find_size(symbol)) {
      return add_output(std::string(symbol), b_.scalar_of(*size));
    }
    const std::string own = cat("output_", graph_->outputs.size());
    if (const auto number = integer_of(member(argument, "as_int"))) {
      add_output(own, b_.integer(*number));
    } else if (const auto real = number_of(member(argument, "as_float"))) {
      add_output(own, b_.scalar(DType::kF32, *real));
    } else if (member(argument, "as_bool").is_boolean()) {
      add_output(own, b_.scalar(DType::kBool, member(argument, "as_bool") == true ? 1 : 0));
    }
  }

  /// What ONNX's types can't say.
  void add_metadata() {
    model_.metadata["quern.format"] = model_.format;
    std::string text;
    for (const auto& [name, range] : bounds_) {
      if (!text.empty()) text += ' ';
      // A least dim of 2 is what torch.export takes dims to be, not what a model wants.
      text += cat(name, ":", range.first > 2 ? range.first : 0, ":", range.second);
    }
    if (!text.empty()) model_.metadata["quern.dims"] = text;
  }

  const Json& module_;
  const Json& graph_json_;
  SymbolBounds bounds_;
  Model model_;
  std::unique_ptr<Graph> graph_;
  Builder b_;
  Values values_;
  Weights weights_;
  std::map<std::string, TensorMeta, std::less<>> metas_;
  std::map<std::string, Tensor, std::less<>> buffers_;
  int nested_ = 0;
};

}  // namespace

std::vector<std::string> stored_names(const Json& program) {
  std::vector<std::string> names;
  const Json& signature = member(member(program, "graph_module"), "signature");
  for (const Json& spec : items_of(member(signature, "input_specs"))) {
    for (const auto& [kind, key] : kStored) {
      if (kind_of(spec) == kind) names.emplace_back(text_of(member(member(spec, kind), key)));
    }
  }
  return names;
}

Result<Model> build_model(const Json& program, const std::function<Result<void>(Weights&)>& fill) {
  return ProgramBuilder(program).build(fill);
}

}  // namespace quern::torch
