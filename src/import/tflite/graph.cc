#include "import/tflite/graph.h"

#include <algorithm>

#include "import/tflite/operators.h"
#include "ir/operator_list.h"

namespace quern::tflite {
namespace {

/// Operators that are translated: subgraphs may use each other.
constexpr size_t kMostOperators = 1'000'000;

/// Translates the operators of a scope in order; errors name the operator.
Result<void> translate_operators(Scope& scope) {
  for (size_t i = 0; i < scope.info.operators.size(); ++i) {
    const OperatorInfo& op = scope.info.operators[i];
    Call call(scope, op, i);
    if (++scope.context.translated > kMostOperators) {
      return limit_exceeded(cat("more than ", kMostOperators, " operators"));
    }
    scope.b.set_scope(call.name());
    const OperatorCode& code = scope.context.file.codes[op.code];
    const Operator* found = find_operator(code);
    found->translate(call, found->ours);
    auto status = scope.b.status();
    if (status) continue;
    Error error = std::move(status).error();
    if (error.message.starts_with("node ")) return std::unexpected(std::move(error));
    return std::unexpected(std::move(error).in(call.describe()));
  }
  return {};
}

class ModelBuilder {
 public:
  ModelBuilder(const FileModel& file, FileParts& parts, const ConvertOptions& options)
      : file_(file),
        graph_(std::make_unique<Graph>()),
        b_(*graph_),
        context_{file, parts, options, model_.weights} {}

  Result<Model> build() {
    if (file_.subgraphs.empty()) return invalid_model("broken TFLite file: it has no subgraph");
    QUERN_TRY(check_operators());
    const SubgraphInfo& main = file_.subgraphs[0];
    find_signature();
    Scope scope(context_, b_, main);
    QUERN_TRY(add_inputs(scope));
    QUERN_TRY(translate_operators(scope));
    for (const int32_t output : main.outputs) {
      add_output(output_name(scope, output), scope, output);
    }
    QUERN_TRY(b_.status());
    add_states();
    QUERN_TRY(b_.status());
    QUERN_TRY(graph_->sort());
    add_metadata();
    model_.graph = std::move(graph_);
    return std::move(model_);
  }

 private:
  Result<void> check_operators() {
    OperatorList missing;
    for (const SubgraphInfo& subgraph : file_.subgraphs) {
      for (size_t i = 0; i < subgraph.operators.size(); ++i) {
        const OperatorInfo& op = subgraph.operators[i];
        if (op.code >= file_.codes.size()) {
          return invalid_model(
              cat("broken TFLite file: operator code ", op.code, " of ", file_.codes.size()));
        }
        const OperatorCode& code = file_.codes[op.code];
        if (find_operator(code) != nullptr) continue;
        const auto output = static_cast<size_t>(op.outputs.empty() ? -1 : op.outputs[0]);
        const bool named =
            output < subgraph.tensors.size() && !subgraph.tensors[output].name.empty();
        missing.add(name_of(code), named ? subgraph.tensors[output].name : cat("operator_", i));
      }
    }
    if (missing.empty()) return {};
    missing.sort();
    return unsupported(cat("unsupported operators: ", missing.text()));
  }

  void find_signature() {
    for (const SignatureInfo& signature : file_.signatures) {
      if (signature.subgraph != 0) continue;
      // Of several, none is the one that is meant.
      if (signature_ != nullptr) {
        signature_ = nullptr;
        return;
      }
      signature_ = &signature;
    }
  }

  /// The signature's name for a tensor, or the tensor's own.
  std::string name_in(const std::vector<std::pair<std::string, uint32_t>>* names,
                      const TensorInfo& tensor, int32_t index, std::string_view fallback) const {
    if (names != nullptr) {
      for (const auto& [name, at] : *names) {
        if (at == static_cast<uint32_t>(index) && !name.empty()) return name;
      }
    }
    return tensor.name.empty() ? cat(fallback, index) : tensor.name;
  }

  std::string output_name(const Scope& scope, int32_t index) const {
    const TensorInfo* tensor = scope.find(index);
    if (tensor == nullptr) return cat("output_", index);
    return name_in(signature_ != nullptr ? &signature_->outputs : nullptr, *tensor, index,
                   "output_");
  }

  Result<void> add_inputs(Scope& scope) {
    size_t symbols = 0;
    for (const int32_t index : scope.info.inputs) {
      const TensorInfo* tensor = scope.find(index);
      if (tensor == nullptr) {
        return invalid_model(cat("broken TFLite file: input ", index, " is no tensor"));
      }
      const std::string name =
          name_in(signature_ != nullptr ? &signature_->inputs : nullptr, *tensor, index, "input_");
      const DType dtype = dtype_of(tensor->type);
      if (dtype == DType::kUndefined || bit_width(dtype) == 0) {
        return unsupported(cat("input '", name, "' of type ", type_name(tensor->type)));
      }
      Shape shape;
      const auto& dims = tensor->signature.empty() ? tensor->shape : tensor->signature;
      for (const int32_t dim : dims) {
        if (dim < -1) return invalid_model(cat("input '", name, "' has a dim of ", dim));
        if (dim < 0) context_.is_static = false;
        shape.push_back(dim < 0 ? Dim::symbol(cat("d", symbols++)) : Dim(dim));
      }
      const size_t rank = shape.size();
      Value* value = graph_->add_input(name, Type::tensor(dtype, std::move(shape)));
      scope.set(index, {value, dtype, rank});
    }
    return {};
  }

  /// A value of this name as an output: of its own, since one value may be given out twice, and
  /// inputs and constants are none.
  void add_output(std::string name, Scope& scope, int32_t index) {
    const Tensor tensor = scope.get(index);
    if (b_.failed()) return;
    if (context_.complex.contains(tensor.value)) {
      return b_.unsupported(cat("output '", name, "' of complex numbers"));
    }
    add_output(std::move(name), tensor);
  }

  void add_output(std::string name, const Tensor& tensor) {
    Value* value = tensor.value;
    if (value->producer == nullptr || graph_->is_output(value)) {
      b_.set_scope(name);
      value = b_.op("Identity", {tensor}).value;
    }
    // The file's shapes are no promise: the core finds its own.
    value->type.shape.reset();
    value->name = std::move(name);
    graph_->outputs.push_back(value);
  }

  /// Variables: inputs that a run may leave out, and outputs.
  void add_states() {
    for (const Value* input : graph_->inputs) {
      model_.inputs.push_back({input->name, input->type, input->id, false});
    }
    for (auto& [name, variable] : context_.variables) {
      if (!variable.changed || variable.initial == nullptr) continue;
      // Of a resource its shared name.
      const std::string shown = name.substr(name.starts_with(kResource) ? name.find('/') + 1 : 0);
      add_output(cat(shown, "_out"), variable.now);
      variable.initial->name = shown;
      model_.inputs.push_back({shown, variable.initial->type, variable.initial->id, true});
    }
  }

  /// What ONNX can't say.
  void add_metadata() {
    model_.format = "TFLite";
    model_.producer = file_.description;
    model_.opsets[""] = emit::kOpset;
    model_.metadata["quern.format"] = model_.format;
    for (const SignatureInfo& signature : file_.signatures) {
      std::string text;
      const auto add = [&](const auto& list) {
        text += '(';
        for (const auto& [name, index] : list) {
          if (!text.ends_with('(')) text += ", ";
          text += name;
        }
        text += ')';
      };
      add(signature.inputs);
      text += " -> ";
      add(signature.outputs);
      model_.metadata[cat("quern.signature ", signature.key)] = text;
    }
  }

  const FileModel& file_;
  Model model_;
  std::unique_ptr<Graph> graph_;
  Builder b_;
  Context context_;
  const SignatureInfo* signature_ = nullptr;
};

}  // namespace

std::string Call::describe() const {
  return cat("node '", name(), "' (", name_of(scope.context.file.codes[op.code]), ")");
}

std::vector<Tensor> translate_subgraph(Call& call, Builder& builder, int32_t index,
                                       const std::vector<Tensor>& inputs) {
  Context& context = call.scope.context;
  if (index < 0 || static_cast<size_t>(index) >= context.file.subgraphs.size()) {
    call.invalid(cat("there is no subgraph ", index));
    return {};
  }
  const SubgraphInfo& info = context.file.subgraphs[static_cast<size_t>(index)];
  if (info.inputs.size() != inputs.size()) {
    call.invalid(cat("subgraph ", index, " has ", info.inputs.size(), " inputs, ", inputs.size(),
                     " are given"));
    return {};
  }
  if (context.depth + 2 > kMaxGraphDepth) {
    builder.fail(ErrorCode::kLimit, "subgraphs are nested too deep");
    return {};
  }
  ++context.depth;
  Scope scope(context, builder, info);
  for (size_t i = 0; i < inputs.size(); ++i) scope.set(info.inputs[i], inputs[i]);
  std::vector<Tensor> outputs;
  if (auto done = translate_operators(scope); !done) {
    builder.fail(done.error().code, done.error().message);
  } else {
    for (const int32_t output : info.outputs) outputs.push_back(scope.get(output));
  }
  --context.depth;
  // A body's failure is the operator's.
  if (auto status = builder.status(); !status) {
    call.b.fail(status.error().code, status.error().message);
    return {};
  }
  return outputs;
}

Result<Model> build_model(const FileModel& file, FileParts& parts, const ConvertOptions& options) {
  return ModelBuilder(file, parts, options).build();
}

}  // namespace quern::tflite
