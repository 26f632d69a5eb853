#include "import/onnx/graph_builder.h"

#include <algorithm>

namespace quern::onnx {
namespace {

// What values and nodes take, about.
constexpr uint64_t kValueMemory = 320;
constexpr uint64_t kNodeMemory = 480;
constexpr uint64_t kInputMemory = 32;

/// A GraphProto's parts.
struct GraphProto {
  std::string_view name;
  std::vector<NodeProto> nodes;
  std::vector<Bytes> initializers, sparse_initializers, inputs, outputs, value_infos;
};

Result<NodeProto> read_node(Bytes message, Budget& budget) {
  QUERN_TRY(budget.charge(sizeof(NodeProto)));
  NodeProto node;
  FieldReader in(message);
  while (in.next()) {
    QUERN_TRY(budget.charge(kFieldMemory));
    switch (in.key()) {
      case bytes_field(1):
        node.inputs.push_back(in.text());
        break;
      case bytes_field(2):
        node.outputs.push_back(in.text());
        break;
      case bytes_field(3):
        node.name = in.text();
        break;
      case bytes_field(4):
        node.op = in.text();
        break;
      case bytes_field(5):
        node.attributes.push_back(in.bytes());
        break;
      case bytes_field(7):
        node.domain = plain_domain(in.text());
        break;
      case bytes_field(8):
        node.overload = in.text();
        break;
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  if (node.op.empty()) return invalid_model(cat(node.describe(), ": has no operator"));
  return node;
}

Result<GraphProto> read_graph(Bytes message, Budget& budget) {
  GraphProto graph;
  FieldReader in(message);
  while (in.next()) {
    QUERN_TRY(budget.charge(kFieldMemory));
    switch (in.key()) {
      case bytes_field(1): {
        QUERN_ASSIGN(NodeProto node, read_node(in.bytes(), budget));
        graph.nodes.push_back(std::move(node));
        break;
      }
      case bytes_field(2):
        graph.name = in.text();
        break;
      case bytes_field(5):
        graph.initializers.push_back(in.bytes());
        break;
      case bytes_field(11):
        graph.inputs.push_back(in.bytes());
        break;
      case bytes_field(12):
        graph.outputs.push_back(in.bytes());
        break;
      case bytes_field(13):
        graph.value_infos.push_back(in.bytes());
        break;
      case bytes_field(15):
        graph.sparse_initializers.push_back(in.bytes());
        break;
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  return graph;
}

struct ValueInfoProto {
  std::string_view name;
  Bytes type;
};

Result<ValueInfoProto> read_value_info(Bytes message) {
  ValueInfoProto info;
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == bytes_field(1)) info.name = in.text();
    if (in.key() == bytes_field(2)) info.type = in.bytes();
  }
  QUERN_TRY(in.status());
  return info;
}

void set_constant(Value* value, ConstantPtr constant) {
  value->type = Type::tensor(constant->dtype, Shape(constant->dims.begin(), constant->dims.end()));
  value->constant = std::move(constant);
}

std::string key_of(std::string_view domain, std::string_view name, std::string_view overload) {
  return cat(domain, '\0', name, '\0', overload);
}

void trim(std::vector<std::string_view>& names) {
  while (!names.empty() && names.back().empty()) names.pop_back();
}

}  // namespace

Result<void> read_opset(Bytes message, Opsets& opsets) {
  std::string_view domain;
  int64_t version = 0;
  FieldReader in(message);
  while (in.next()) {
    if (in.key() == bytes_field(1)) domain = plain_domain(in.text());
    if (in.key() == varint_field(2)) version = in.integer();
  }
  QUERN_TRY(in.status());
  if (version < 1 || version > INT32_MAX) {
    return invalid_model(cat("operator set version ", version, " of domain '", domain, "'"));
  }
  opsets[std::string(domain)] = static_cast<int>(version);
  return {};
}

std::string NodeProto::describe() const {
  const std::string_view output = outputs.empty() ? "" : outputs[0];
  return cat(name.empty() ? "node of '" : "node '", name.empty() ? output : name, "' (", domain,
             domain.empty() ? "" : ".", op, ")");
}

Result<Function> read_function(Bytes message, Budget& budget) {
  QUERN_TRY(budget.charge(sizeof(Function)));
  Function function;
  FieldReader in(message);
  while (in.next()) {
    QUERN_TRY(budget.charge(kFieldMemory));
    switch (in.key()) {
      case bytes_field(1):
        function.name = in.text();
        break;
      case bytes_field(4):
        function.inputs.push_back(in.text());
        break;
      case bytes_field(5):
        function.outputs.push_back(in.text());
        break;
      case bytes_field(7): {
        QUERN_ASSIGN(NodeProto node, read_node(in.bytes(), budget));
        function.nodes.push_back(std::move(node));
        break;
      }
      case bytes_field(9):
        QUERN_TRY(read_opset(in.bytes(), function.opsets));
        break;
      case bytes_field(10):
        function.domain = plain_domain(in.text());
        break;
      case bytes_field(11):
        function.defaults.push_back(in.bytes());
        break;
      case bytes_field(13):
        function.overload = in.text();
        break;
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  return function;
}

Result<void> Budget::charge(uint64_t bytes) {
  if (bytes > left_) {
    return limit_exceeded(
        cat("the model's graph takes more than ", limit_, " bytes (ImportOptions::memory_limit)"));
  }
  left_ -= bytes;
  return {};
}

Value* const* Scope::find(std::string_view name) const {
  for (const Scope* scope = this; scope; scope = scope->outer) {
    if (const auto found = scope->names.find(name); found != scope->names.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

GraphBuilder::GraphBuilder(const std::vector<Function>& functions, ConstantReader& constants,
                           Budget& budget, int max_depth, bool defaults)
    : constants_(constants),
      budget_(budget),
      max_depth_(std::min(max_depth, kMaxGraphDepth)),
      defaults_(defaults) {
  for (const Function& function : functions) {
    functions_[key_of(function.domain, function.name, function.overload)] = &function;
  }
}

const Function* GraphBuilder::find_function(const NodeProto& proto) const {
  if (functions_.empty()) return nullptr;
  const auto found = functions_.find(key_of(proto.domain, proto.op, proto.overload));
  return found == functions_.end() ? nullptr : found->second;
}

Result<int> GraphBuilder::version_of(const NodeProto& proto, const Context& context) const {
  const auto found = context.opsets->find(proto.domain);
  if (found != context.opsets->end()) return found->second;
  // Other domains have had one version only, unless a model says so.
  if (!proto.domain.empty()) return 1;
  return invalid_model(cat(proto.describe(), ": the model imports no version of ONNX's operators"));
}

Result<void> GraphBuilder::define(Scope& scope, std::string_view name, Value* value) {
  if (scope.names.try_emplace(name, value).second) return {};
  return invalid_model(cat("value '", name, "' is defined twice"));
}

Result<Value*> GraphBuilder::declare(std::string_view name, Graph& graph, const Context& context,
                                     const Bound& bound, const ValueInfos& infos) {
  if (const auto found = bound.find(name); found != bound.end()) return found->second;
  QUERN_TRY(budget_.charge(kValueMemory + context.prefix.size() + name.size()));
  Type type;
  if (const auto info = infos.find(name); info != infos.end()) {
    if (auto declared = types_.declared(info->second)) {
      type = *std::move(declared);
    } else if (declared.error().code != ErrorCode::kUnsupported) {
      return std::unexpected(std::move(declared).error().in(cat("value '", name, "'")));
    }
  }
  return graph.add_value(context.prefix + std::string(name), std::move(type));
}

Result<void> GraphBuilder::add_initializer(std::string_view name, ConstantPtr constant,
                                           Graph& graph, Scope& scope, const Context& context) {
  if (name.empty()) return invalid_model("an initializer has no name");
  QUERN_TRY(budget_.charge(kValueMemory + name.size() + 8 * constant->dims.size()));
  return define(scope, name,
                graph.add_constant(context.prefix + std::string(name), std::move(constant)));
}

Result<void> GraphBuilder::add_input(Bytes value_info, Graph& graph, Scope& scope,
                                     const Context& context) {
  QUERN_ASSIGN(const ValueInfoProto info, read_value_info(value_info));
  if (info.name.empty()) return invalid_model("a graph input has no name");
  const bool main = graph.outer() == nullptr;
  const auto found = scope.names.find(info.name);
  const Value* initial = found == scope.names.end() ? nullptr : found->second;
  const bool has_default = initial != nullptr;
  if (has_default && !initial->is_constant()) {
    return invalid_model(cat("input '", info.name, "' is defined twice"));
  }
  if (has_default && !(main && defaults_)) return {};
  QUERN_TRY(budget_.charge(kValueMemory + info.name.size() + 8 * info.type.size()));
  auto type = main ? types_.input(info.name, info.type) : types_.declared(info.type);
  if (!type && (main || type.error().code != ErrorCode::kUnsupported)) {
    return std::unexpected(std::move(type).error().in(cat("input '", info.name, "'")));
  }
  if (!has_default) {
    initial = graph.add_input(context.prefix + std::string(info.name), type ? *type : Type{});
    QUERN_TRY(define(scope, info.name, graph.inputs.back()));
  }
  if (main) {
    inputs_.push_back({std::string(info.name), *std::move(type), initial->id, has_default});
  }
  return {};
}

Result<void> GraphBuilder::enter() {
  if (depth_ < max_depth_) return {};
  return limit_exceeded(cat("subgraphs and functions are nested more than ", max_depth_, " deep"));
}

Result<void> GraphBuilder::build(Bytes message, Graph& graph, const Scope* outer,
                                 const Context& context) {
  QUERN_TRY(enter());
  ++depth_;
  QUERN_ASSIGN(const GraphProto proto, read_graph(message, budget_));
  graph.name = proto.name;
  Scope scope{outer, {}};
  for (const Bytes tensor : proto.initializers) {
    std::string_view name;
    QUERN_ASSIGN(ConstantPtr constant, constants_.tensor(tensor, &name));
    QUERN_TRY(add_initializer(name, std::move(constant), graph, scope, context));
  }
  std::vector<std::string> sparse_names(proto.sparse_initializers.size());
  for (size_t i = 0; i < sparse_names.size(); ++i) {
    QUERN_ASSIGN(ConstantPtr constant,
                 constants_.sparse(proto.sparse_initializers[i], &sparse_names[i]));
    QUERN_TRY(add_initializer(sparse_names[i], std::move(constant), graph, scope, context));
  }
  for (const Bytes input : proto.inputs) QUERN_TRY(add_input(input, graph, scope, context));
  ValueInfos infos;
  for (const auto* list : {&proto.value_infos, &proto.outputs}) {
    for (const Bytes value_info : *list) {
      QUERN_ASSIGN(const ValueInfoProto info, read_value_info(value_info));
      infos[info.name] = info.type;
    }
  }
  QUERN_TRY(build_nodes(proto.nodes, graph, scope, context, {}, infos));
  for (const Bytes output : proto.outputs) {
    QUERN_ASSIGN(const ValueInfoProto info, read_value_info(output));
    Value* const* value = scope.find(info.name);
    if (!value || !*value) {
      return invalid_model(
          cat("graph '", proto.name, "': output '", info.name, "' is not defined"));
    }
    graph.outputs.push_back(*value);
  }
  --depth_;
  return {};
}

Result<void> GraphBuilder::build_nodes(const std::vector<NodeProto>& nodes, Graph& graph,
                                       Scope& scope, const Context& context, const Bound& bound,
                                       const ValueInfos& infos) {
  // All values first: nodes may come in any order.
  for (const NodeProto& proto : nodes) {
    const auto declare_outputs = [&]() -> Result<void> {
      ConstantPtr constant;
      if (proto.op == "Constant" && proto.domain.empty()) {
        QUERN_ASSIGN(constant, constant_node(proto, graph, scope, context));
      }
      for (const std::string_view name : proto.outputs) {
        if (name.empty()) continue;
        QUERN_ASSIGN(Value * value, declare(name, graph, context, bound, infos));
        QUERN_TRY(define(scope, name, value));
        if (constant) set_constant(value, constant);
      }
      return {};
    };
    if (auto result = declare_outputs(); !result) {
      return std::unexpected(std::move(result).error().in(proto.describe()));
    }
  }
  for (const NodeProto& proto : nodes) {
    if (proto.op == "Constant" && proto.domain.empty()) continue;
    if (auto result = build_node(proto, graph, scope, context); !result) {
      return std::unexpected(std::move(result).error().in(proto.describe()));
    }
  }
  return {};
}

Result<void> GraphBuilder::build_node(const NodeProto& proto, Graph& graph, const Scope& scope,
                                      const Context& context) {
  std::vector<std::string_view> names = proto.inputs;
  trim(names);
  std::vector<Value*> inputs;
  for (size_t i = 0; i < names.size(); ++i) {
    Value* const* value = nullptr;
    if (!names[i].empty()) {
      value = scope.find(names[i]);
      if (!value) return invalid_model(cat("input ", i, " '", names[i], "' is not defined"));
    }
    inputs.push_back(value ? *value : nullptr);
  }
  while (!inputs.empty() && !inputs.back()) inputs.pop_back();
  QUERN_TRY(budget_.charge(kNodeMemory + context.prefix.size() + proto.name.size() +
                           kInputMemory * inputs.size()));
  if (const Function* function = find_function(proto)) {
    return expand(*function, proto, inputs, graph, scope, context);
  }

  std::map<std::string, AttributeValue, std::less<>> attributes;
  bool has_body = false;
  for (const Bytes message : proto.attributes) {
    QUERN_ASSIGN(AttributeProto attribute, read_attribute(message, budget_));
    const std::string_view name = attribute.name;
    auto value = attribute_value(std::move(attribute), graph, scope, context);
    if (!value) {
      return std::unexpected(std::move(value).error().in(cat("attribute '", name, "'")));
    }
    if (!*value) continue;
    has_body |= std::holds_alternative<std::shared_ptr<Graph>>(**value);
    if (!attributes.try_emplace(std::string(name), std::move(**value)).second) {
      return invalid_model(cat("attribute '", name, "' is given twice"));
    }
  }

  // Absent outputs at the end need not be computed; but some operators count them.
  names = proto.outputs;
  if (!has_body && proto.op != "Split") trim(names);
  std::vector<Value*> outputs;
  for (const std::string_view name : names) {
    if (name.empty()) QUERN_TRY(budget_.charge(kValueMemory));
    outputs.push_back(name.empty() ? graph.add_value("", Type{}) : scope.names.at(name));
  }
  QUERN_ASSIGN(const int version, version_of(proto, context));
  Node* node =
      graph.add_node_with_outputs(std::string(proto.op), std::move(inputs), std::move(outputs),
                                  nullptr, std::string(proto.domain), version);
  node->attributes = std::move(attributes);
  node->name = proto.name.empty()
                   ? cat(context.prefix, proto.op, "_", names.empty() ? "" : names[0])
                   : cat(context.prefix, proto.name);
  return {};
}

Result<void> GraphBuilder::expand(const Function& function, const NodeProto& call,
                                  const std::vector<Value*>& inputs, Graph& graph,
                                  const Scope& scope, const Context& context) {
  QUERN_TRY(enter());
  if (inputs.size() > function.inputs.size() || call.outputs.size() > function.outputs.size()) {
    return invalid_model(cat("has ", inputs.size(), " inputs and ", call.outputs.size(),
                             " outputs, its function ", function.inputs.size(), " and ",
                             function.outputs.size()));
  }
  ++depth_;
  Scope own;
  for (size_t i = 0; i < function.inputs.size(); ++i) {
    QUERN_TRY(define(own, function.inputs[i], i < inputs.size() ? inputs[i] : nullptr));
  }
  Bound bound;
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    if (call.outputs[i].empty() || own.names.contains(function.outputs[i])) continue;
    bound.try_emplace(function.outputs[i], scope.names.at(call.outputs[i]));
  }
  const std::string_view name = !call.name.empty()     ? call.name
                                : call.outputs.empty() ? function.name
                                                       : call.outputs[0];
  const Context inner{.opsets = &function.opsets,
                      .prefix = cat(context.prefix, name, "/"),
                      .function = &function,
                      .call = &call,
                      .caller = &context,
                      .caller_scope = &scope};
  QUERN_TRY(build_nodes(function.nodes, graph, own, inner, bound, {}));
  for (size_t i = 0; i < call.outputs.size(); ++i) {
    if (call.outputs[i].empty()) continue;
    Value* const* value = own.find(function.outputs[i]);
    if (!value || !*value) {
      return invalid_model(cat("function '", function.name, "' does not define its output '",
                               function.outputs[i], "'"));
    }
    Value* const target = scope.names.at(call.outputs[i]);
    if (*value == target && (target->producer || target->is_constant())) continue;
    if (*value == target) return invalid_model("depends on its own output");
    // An input handed on, or an output given twice.
    graph.add_node_with_outputs("Identity", {*value}, {target}, nullptr, "", 1)->name =
        cat(inner.prefix, "Identity_", i);
  }
  --depth_;
  return {};
}

}  // namespace quern::onnx
