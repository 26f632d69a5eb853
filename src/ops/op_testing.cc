#include "ops/op_testing.h"

#include <cmath>

#include "ops/compose.h"

namespace quern::optest {
namespace {

/// One node in a graph of its own.
struct Made {
  std::unique_ptr<Graph> graph = std::make_unique<Graph>();
  Node* node = nullptr;
};

Made make(const OpCall& call, const std::vector<bool>& present) {
  Made made;
  std::vector<Value*> inputs;
  for (size_t i = 0; i < present.size(); ++i) {
    inputs.push_back(present[i] ? made.graph->add_input(cat("x", i), Type{}) : nullptr);
  }
  made.node =
      made.graph->add_node(call.op, inputs, call.outputs, nullptr, call.domain, call.version);
  made.node->name = "test";
  made.node->attributes = call.attributes;
  return made;
}

TensorInfo info_of(const HostTensor& tensor, bool baked) {
  return {
      .dtype = tensor.dtype, .dims = tensor.dims, .baked = baked ? UINT32_MAX : 0, .present = true};
}

Result<std::vector<HostTensor>> run_once(const Node& node, const OpDef& def,
                                         const std::vector<std::optional<HostTensor>>& inputs,
                                         bool baked) {
  OpFrame frame{.node = &node, .def = &def, .host_baked = baked ? UINT64_MAX : 0};
  std::vector<InferContext::Input> seen;
  for (const std::optional<HostTensor>& input : inputs) {
    frame.inputs.push_back(input ? info_of(*input, baked) : TensorInfo{});
    frame.host.push_back(input ? &*input : nullptr);
    seen.emplace_back();
    if (!input) continue;
    const Shape shape(input->dims.begin(), input->dims.end());
    seen.back() = {.type = Type::tensor(input->dtype, shape), .present = true, .host = &*input};
  }
  InferContext context(node, std::move(seen));
  QUERN_TRY(def.infer(context));
  for (const InferContext::Output& output : context.outputs()) {
    std::optional<Dims> dims;
    if (output.type.shape) dims = constant_dims(*output.type.shape);
    if (!dims) return internal_error("an output's dims are not known");
    frame.outputs.push_back({.dtype = output.type.dtype,
                             .dims = *dims,
                             .baked = baked ? UINT32_MAX : 0,
                             .present = true});
  }
  QUERN_ASSIGN(std::vector<HostTensor> results, evaluate_node(frame));
  // What inference says of the contents has to be what comes out.
  for (size_t k = 0; k < results.size(); ++k) {
    const std::optional<std::vector<Dim>>& contents = context.outputs()[k].contents;
    if (!contents) continue;
    EXPECT_EQ(std::ssize(*contents), results[k].count());
    for (size_t i = 0; i < contents->size(); ++i) {
      if (!(*contents)[i].is_const()) continue;
      EXPECT_EQ((*contents)[i].value(), results[k].int_at(static_cast<int64_t>(i)))
          << node.op << ", element " << i;
    }
  }
  return results;
}

/// Adds a type and contents, after "; " unless they are the first.
void append_type(std::string& out, const Type& type,
                 const std::optional<std::vector<Dim>>& contents) {
  if (!out.empty()) out += "; ";
  append(out, type);
  if (contents) append(out, cat(" = {", join(*contents, ", "), "}"));
}

}  // namespace

HostTensor f32(Dims dims, std::vector<float> values) {
  return HostTensor::of_floats(std::move(dims), values);
}
HostTensor f32(std::vector<float> values) { return f32({std::ssize(values)}, values); }
HostTensor i64(Dims dims, std::vector<int64_t> values) {
  return HostTensor::of_ints(DType::kI64, std::move(dims), values);
}
HostTensor i64(std::vector<int64_t> values) { return i64({std::ssize(values)}, values); }

HostTensor tensor(DType dtype, Dims dims, std::vector<double> values) {
  HostTensor result = HostTensor::zeros(dtype, std::move(dims)).value_or(HostTensor{});
  EXPECT_EQ(result.count(), std::ssize(values));
  for (size_t i = 0; i < values.size(); ++i) result.set_float(static_cast<int64_t>(i), values[i]);
  return result;
}

HostTensor strings(Dims dims, std::vector<std::string> values) {
  return {.dtype = DType::kString, .dims = std::move(dims), .strings = std::move(values)};
}

Result<std::vector<HostTensor>> run(const OpCall& call,
                                    const std::vector<std::optional<HostTensor>>& inputs) {
  std::vector<bool> present;
  for (const auto& input : inputs) present.push_back(input.has_value());
  const Made made = make(call, present);
  const OpDef* def = find_op(*made.node);
  if (def == nullptr) return unsupported(cat("no operator ", call.op, " of ", call.version));
  QUERN_ASSIGN(std::vector<HostTensor> baked, run_once(*made.node, *def, inputs, true));
  QUERN_ASSIGN(std::vector<HostTensor> free, run_once(*made.node, *def, inputs, false));
  for (size_t k = 0; k < baked.size(); ++k) {
    EXPECT_EQ(text(baked[k]), text(free[k])) << call.op << ": baked and not, output " << k;
  }
  return baked;
}

HostTensor run_one(const OpCall& call, const std::vector<std::optional<HostTensor>>& inputs) {
  Result<std::vector<HostTensor>> results = run(call, inputs);
  if (!results) {
    ADD_FAILURE() << results.error().message;
    return {};
  }
  return std::move((*results)[0]);
}

InferInput InferInput::of(std::string_view text) {
  // A graph's text holds types and contents in the same form.
  const Result<std::unique_ptr<Graph>> graph =
      parse_graph(cat("graph test(%x: ", text, ") {\n  return %x\n}\n"));
  if (!graph) {
    ADD_FAILURE() << graph.error().message;
    return {};
  }
  const Value& value = *(*graph)->inputs[0];
  return {.present = true, .type = value.type, .contents = value.contents, .host = nullptr};
}

InferInput InferInput::of(HostTensor host) {
  const Shape shape(host.dims.begin(), host.dims.end());
  return {.present = true,
          .type = Type::tensor(host.dtype, shape),
          .contents = std::nullopt,
          .host = std::make_shared<HostTensor>(std::move(host))};
}

std::string infer(const OpCall& call, const std::vector<InferInput>& inputs) {
  std::vector<bool> present;
  std::vector<InferContext::Input> seen;
  for (const InferInput& input : inputs) {
    present.push_back(input.present);
    seen.push_back({.type = input.type,
                    .present = input.present,
                    .host = input.host.get(),
                    .contents = input.contents ? &*input.contents : nullptr});
  }
  const Made made = make(call, present);
  const OpDef* def = find_op(*made.node);
  if (def == nullptr) return "error: no such operator";
  InferContext context(*made.node, std::move(seen));
  if (Result<void> result = def->infer(context); !result) {
    return cat("error: ", result.error().message);
  }
  std::string out;
  for (const InferContext::Output& output : context.outputs()) {
    append_type(out, output.type, output.contents);
  }
  return out;
}

std::string infer_graph(std::string_view text) {
  const Result<std::unique_ptr<Graph>> graph = parse_graph(text);
  if (!graph) return cat("error: ", graph.error().message);
  for (const std::unique_ptr<Node>& node : (*graph)->nodes()) {
    const OpDef* def = find_op(*node);
    if (def == nullptr) return cat("error: no operator ", node->op);
    std::vector<InferContext::Input> seen;
    for (const Value* value : node->inputs) {
      seen.emplace_back();
      if (value == nullptr) continue;
      seen.back() = {.type = value->type,
                     .present = true,
                     .host = value->is_constant() ? &value->constant->host : nullptr,
                     .contents = value->contents ? &*value->contents : nullptr};
    }
    InferContext context(*node, std::move(seen));
    if (Result<void> result = def->infer(context); !result) {
      return cat("error: ", result.error().message);
    }
    for (size_t k = 0; k < node->outputs.size(); ++k) {
      node->outputs[k]->type = context.outputs()[k].type;
      node->outputs[k]->contents = context.outputs()[k].contents;
    }
  }
  std::string out;
  for (const Value* value : (*graph)->outputs) append_type(out, value->type, value->contents);
  return out;
}

std::string text(const HostTensor& tensor) {
  std::string out = cat(name_of(tensor.dtype), tensor.dims, " {");
  for (int64_t i = 0; i < tensor.count(); ++i) {
    if (i != 0) out += ", ";
    if (tensor.dtype == DType::kString) {
      out += tensor.strings[static_cast<size_t>(i)];
    } else if (is_float(tensor.dtype)) {
      append(out, static_cast<float>(tensor.float_at(i)));
    } else {
      append(out, tensor.int_at(i));
    }
  }
  return out + "}";
}

}  // namespace quern::optest
