// Attributes of nodes, references to a function's attributes, and Constant nodes.
#include "import/onnx/graph_builder.h"

namespace quern::onnx {
namespace {

/// The attribute of that name among `list`; nothing where there is none.
Result<std::optional<AttributeProto>> find_attribute(const std::vector<Bytes>& list,
                                                     std::string_view name, Budget& budget) {
  for (const Bytes message : list) {
    QUERN_TRY(budget.charge(16 + message.size() / 8));  // bounds the time
    FieldReader in(message);
    while (in.next() && in.key() != bytes_field(1)) {
    }
    if (in.key() != bytes_field(1) || in.text() != name) continue;
    QUERN_ASSIGN(AttributeProto found, read_attribute(message, budget));
    return found;
  }
  return std::nullopt;
}

template <class T>
Dims length_of(const std::vector<T>& list) {
  return {static_cast<int64_t>(list.size())};
}

/// What a Constant node's attribute stands for; nothing for attributes of other kinds.
ConstantPtr constant_of(AttributeValue value) {
  if (auto* constant = std::get_if<ConstantPtr>(&value)) return *constant;
  if (auto* i = std::get_if<int64_t>(&value)) {
    return make_constant(HostTensor::of_ints(DType::kI64, {}, {*i}));
  }
  if (auto* f = std::get_if<float>(&value)) return make_constant(HostTensor::of_floats({}, {*f}));
  if (auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
    return make_constant(HostTensor::of_ints(DType::kI64, length_of(*ints), *ints));
  }
  if (auto* floats = std::get_if<std::vector<float>>(&value)) {
    return make_constant(HostTensor::of_floats(length_of(*floats), *floats));
  }
  HostTensor strings;
  strings.dtype = DType::kString;
  if (auto* string = std::get_if<std::string>(&value)) {
    strings.strings.push_back(std::move(*string));
  } else if (auto* list = std::get_if<std::vector<std::string>>(&value)) {
    strings.dims = length_of(*list);
    strings.strings = std::move(*list);
  } else {
    return nullptr;
  }
  return make_constant(std::move(strings));
}

}  // namespace

Result<AttributeProto> read_attribute(Bytes message, Budget& budget) {
  AttributeProto attribute;
  int64_t found = kUndefined;  // the type, by the fields: early models don't say it
  FieldReader in(message);
  while (in.next()) {
    QUERN_TRY(budget.charge(kFieldMemory));
    switch (in.key()) {
      case bytes_field(1):
        attribute.name = in.text();
        break;
      case fixed32_field(2):
        attribute.f = in.f32();
        found = kFloat;
        break;
      case varint_field(3):
        attribute.i = in.integer();
        found = kInt;
        break;
      case bytes_field(4):
        attribute.s = in.bytes();
        found = kString;
        break;
      case bytes_field(5):
        attribute.t = in.bytes();
        found = kTensor;
        break;
      case bytes_field(6):
        attribute.g = in.bytes();
        found = kGraph;
        break;
      case fixed32_field(7):
      case bytes_field(7):
        QUERN_TRY(append_floats(in, attribute.floats));
        found = kFloats;
        break;
      case varint_field(8):
      case bytes_field(8):
        QUERN_TRY(budget.charge(sizeof(int64_t) * in.bytes().size()));
        QUERN_TRY(append_varints(in, attribute.ints));
        found = kInts;
        break;
      case bytes_field(9):
        attribute.strings.emplace_back(in.text());
        found = kStrings;
        break;
      case bytes_field(11):
        attribute.graphs.push_back(in.bytes());
        found = kGraphs;
        break;
      case bytes_field(14):
        attribute.type_proto = in.bytes();
        found = kTypeProto;
        break;
      case varint_field(20):
        attribute.type = in.integer();
        break;
      case bytes_field(21):
        attribute.reference = in.text();
        break;
      case bytes_field(22):
        attribute.sparse_tensor = in.bytes();
        found = kSparseTensor;
        break;
      default:
        break;
    }
  }
  QUERN_TRY(in.status());
  if (attribute.name.empty()) return invalid_model("an attribute has no name");
  if (attribute.type == kUndefined) attribute.type = found;
  return attribute;
}

Result<std::optional<AttributeValue>> GraphBuilder::attribute_value(AttributeProto attribute,
                                                                    Graph& graph,
                                                                    const Scope& scope,
                                                                    const Context& context) {
  if (!attribute.reference.empty()) {
    if (!context.function) {
      return invalid_model(cat("refers to '", attribute.reference, "' outside a function"));
    }
    QUERN_ASSIGN(auto given,
                 find_attribute(context.call->attributes, attribute.reference, budget_));
    if (given) {
      return attribute_value(*std::move(given), graph, *context.caller_scope, *context.caller);
    }
    QUERN_ASSIGN(given, find_attribute(context.function->defaults, attribute.reference, budget_));
    if (given) {
      const Context nowhere{.opsets = context.opsets, .prefix = context.prefix};
      return attribute_value(*std::move(given), graph, Scope{}, nowhere);
    }
    return std::nullopt;
  }
  const auto build_graph = [&](Bytes message) -> Result<std::shared_ptr<Graph>> {
    auto body = std::make_shared<Graph>(&graph);
    QUERN_TRY(build(message, *body, &scope, context));
    return body;
  };
  switch (attribute.type) {
    case kFloat:
      return attribute.f;
    case kInt:
      return attribute.i;
    case kString:
      return std::string(text_of(attribute.s));
    case kFloats:
      return std::move(attribute.floats);
    case kInts:
      return std::move(attribute.ints);
    case kStrings:
      return std::move(attribute.strings);
    case kTensor:
      return constants_.tensor(attribute.t);
    case kSparseTensor:
      return constants_.sparse(attribute.sparse_tensor);
    case kTypeProto:
      return types_.declared(attribute.type_proto);
    case kGraph:
      return build_graph(attribute.g);
    case kGraphs: {
      std::vector<std::shared_ptr<Graph>> graphs;
      for (const Bytes message : attribute.graphs) {
        QUERN_ASSIGN(auto body, build_graph(message));
        graphs.push_back(std::move(body));
      }
      return graphs;
    }
    default:
      return unsupported(cat("is of kind ", attribute.type));
  }
}

Result<ConstantPtr> GraphBuilder::constant_node(const NodeProto& proto, Graph& graph,
                                                const Scope& scope, const Context& context) {
  for (const Bytes message : proto.attributes) {
    QUERN_ASSIGN(AttributeProto attribute, read_attribute(message, budget_));
    if (!attribute.name.starts_with("value") && attribute.name != "sparse_value") continue;
    QUERN_ASSIGN(auto value, attribute_value(std::move(attribute), graph, scope, context));
    if (!value) continue;
    if (ConstantPtr constant = constant_of(*std::move(value))) return constant;
  }
  return invalid_model("has no value");
}

}  // namespace quern::onnx
