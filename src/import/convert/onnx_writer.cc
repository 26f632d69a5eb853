#include "import/convert/onnx_writer.h"

#include <bit>
#include <set>
#include <unordered_map>

namespace quern {
namespace {

/// A protobuf message under construction.
class Message {
 public:
  void varint(uint32_t field, int64_t value) {
    number(uint64_t{field} << 3);
    number(static_cast<uint64_t>(value));
  }
  void fixed32(uint32_t field, float value) {
    number(uint64_t{field} << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int i = 0; i < 4; ++i) bytes_.push_back(static_cast<uint8_t>(bits >> (8 * i)));
  }
  void bytes(uint32_t field, std::span<const uint8_t> value) {
    number(uint64_t{field} << 3 | 2);
    number(value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  void text(uint32_t field, std::string_view value) {
    bytes(field, {reinterpret_cast<const uint8_t*>(value.data()), value.size()});
  }
  void message(uint32_t field, const Message& value) { bytes(field, value.bytes_); }
  void packed(uint32_t field, const std::vector<int64_t>& values) {
    if (values.empty()) return;
    Message inner;
    for (const int64_t value : values) inner.number(static_cast<uint64_t>(value));
    message(field, inner);
  }
  void entry(uint32_t field, std::string_view key, std::string_view value) {
    Message pair;
    pair.text(1, key);
    pair.text(2, value);
    message(field, pair);
  }
  [[nodiscard]] size_t size() const { return bytes_.size(); }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  void number(uint64_t value) {
    for (; value > 127; value >>= 7) bytes_.push_back(static_cast<uint8_t>(value | 128));
    bytes_.push_back(static_cast<uint8_t>(value));
  }

  std::vector<uint8_t> bytes_;
};

/// AttributeProto.AttributeType, and its fields.
enum Kind : int64_t { kFloat = 1, kInt, kString, kTensor, kGraph, kFloats, kInts, kStrings };
constexpr int64_t kGraphs = 10;
constexpr int64_t kTypeProto = 13;

class Writer {
 public:
  Writer(const Model& model, const OnnxWriteOptions& options) : model_(model), options_(options) {
    name_values(*model.graph);
  }

  Result<Message> model() {
    Message out;
    out.varint(1, 10);
    out.text(2, model_.producer.empty() ? "quern" : model_.producer);
    QUERN_ASSIGN(const Message graph_message, graph(*model_.graph));
    out.message(7, graph_message);
    std::map<std::string, int, std::less<>> opsets = model_.opsets;
    for_each_node(*model_.graph,
                  [&](Node& node) { opsets.try_emplace(node.domain, node.version); });
    for (const auto& [domain, version] : opsets) {
      Message opset;
      opset.text(1, domain);
      opset.varint(2, version);
      out.message(8, opset);
    }
    for (const auto& [key, value] : model_.metadata) out.entry(14, key, value);
    if (out.size() > INT32_MAX) {
      return unsupported(cat("an ONNX file of ", out.size(), " bytes; 2 GiB are possible"));
    }
    return out;
  }

 private:
  /// Names are unique in the whole model, over subgraphs.
  void name_values(Graph& graph) {
    for (const auto& value : graph.values()) {
      std::string name = value->name;
      if (name.empty()) name = cat("v", value->id);
      while (!used_.insert(name).second) name += cat("_", value->id);
      names_[value.get()] = std::move(name);
    }
    for (const auto& node : graph.nodes()) {
      for (Graph* body : node->subgraphs()) name_values(*body);
    }
  }
  /// Importers call all nodes that they make of one by its name, of which ONNX allows one alone.
  std::string unique_name(const std::string& wanted) {
    if (wanted.empty()) return wanted;
    std::string name = wanted;
    // Most nodes of a name at once: counting goes on where it stopped.
    while (!used_nodes_.insert(name).second) name = cat(wanted, "#", ++repeats_[wanted] + 1);
    return name;
  }
  const std::string& name(const Value* value) const {
    static const std::string kAbsent;
    const auto found = names_.find(value);
    return found == names_.end() ? kAbsent : found->second;
  }

  Result<Message> graph(Graph& graph) {
    Message out;
    for (const auto& node : graph.nodes()) {
      QUERN_ASSIGN(const Message written, this->node(*node));
      out.message(1, written);
    }
    out.text(2, graph.name.empty() ? "graph" : graph.name);
    for (const auto& value : graph.values()) {
      if (!value->constant) continue;
      QUERN_ASSIGN(const Message written, tensor(*value->constant, name(value.get())));
      out.message(5, written);
    }
    if (&graph == model_.graph.get() && !model_.inputs.empty()) {
      for (const ModelInput& input : model_.inputs) {
        for (const auto& value : graph.values()) {
          if (value->id == input.value) out.message(11, value_info(*value, input.type));
        }
      }
    } else {
      for (const Value* input : graph.inputs) out.message(11, value_info(*input, input->type));
    }
    for (const Value* output : graph.outputs) out.message(12, value_info(*output, output->type));
    return out;
  }

  Result<Message> node(const Node& node) {
    Message out;
    for (const Value* input : node.inputs) out.text(1, input == nullptr ? "" : name(input));
    for (const Value* output : node.outputs) out.text(2, output == nullptr ? "" : name(output));
    out.text(3, unique_name(node.name));
    out.text(4, node.op);
    for (const auto& [key, value] : node.attributes) {
      QUERN_ASSIGN(const Message written, attribute(key, value));
      out.message(5, written);
    }
    if (!node.domain.empty()) out.text(7, node.domain);
    return out;
  }

  Result<Message> attribute(std::string_view key, const AttributeValue& value) {
    Message out;
    out.text(1, key);
    if (const auto* one = std::get_if<int64_t>(&value)) {
      out.varint(3, *one);
      out.varint(20, kInt);
    } else if (const auto* number = std::get_if<float>(&value)) {
      out.fixed32(2, *number);
      out.varint(20, kFloat);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      out.text(4, *text);
      out.varint(20, kString);
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      out.packed(8, *ints);
      out.varint(20, kInts);
    } else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
      for (const float f : *floats) out.fixed32(7, f);
      out.varint(20, kFloats);
    } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
      for (const std::string& s : *strings) out.text(9, s);
      out.varint(20, kStrings);
    } else if (const auto* constant = std::get_if<ConstantPtr>(&value)) {
      QUERN_ASSIGN(const Message written, tensor(**constant, ""));
      out.message(5, written);
      out.varint(20, kTensor);
    } else if (const auto* body = std::get_if<std::shared_ptr<Graph>>(&value)) {
      QUERN_ASSIGN(const Message written, graph(**body));
      out.message(6, written);
      out.varint(20, kGraph);
    } else if (const auto* bodies = std::get_if<std::vector<std::shared_ptr<Graph>>>(&value)) {
      for (const std::shared_ptr<Graph>& one_body : *bodies) {
        QUERN_ASSIGN(const Message written, graph(*one_body));
        out.message(11, written);
      }
      out.varint(20, kGraphs);
    } else if (const auto* type_value = std::get_if<Type>(&value)) {
      out.message(14, type(*type_value));
      out.varint(20, kTypeProto);
    }
    return out;
  }

  Result<Message> tensor(const Constant& constant, std::string_view tensor_name) {
    Message out;
    out.packed(1, constant.dims);
    out.varint(2, static_cast<int64_t>(constant.dtype));
    out.text(8, tensor_name);
    if (constant.is_inline()) {
      if (constant.dtype == DType::kString) {
        for (const std::string& text : constant.host.strings) out.text(6, text);
      } else {
        out.bytes(9, constant.host.bytes);
      }
      return out;
    }
    const uint32_t weight = constant.weight;
    if (weight >= model_.weights.size()) {
      return internal_error(cat("tensor '", tensor_name, "': there is no weight ", weight));
    }
    if (weight < options_.weights.size() && !options_.weights[weight].empty()) {
      // What is held may be padded.
      const std::span<const uint8_t> held = options_.weights[weight];
      out.bytes(9, held.first(std::min<size_t>(held.size(), model_.weights[weight].byte_length)));
      return out;
    }
    const WeightInfo& info = model_.weights[weight];
    out.entry(13, "location", info.file.empty() ? options_.own_file : info.file);
    out.entry(13, "offset", cat(info.file_offset));
    out.entry(13, "length", cat(info.byte_length));
    out.varint(14, 1);
    return out;
  }

  Message value_info(const Value& value, const Type& declared) const {
    Message out;
    out.text(1, name(&value));
    if (declared.dtype != DType::kUndefined) out.message(2, type(declared));
    return out;
  }

  Message type(const Type& type) const {
    Message out;
    Message inner;
    switch (type.kind) {
      case Type::Kind::kTensor: {
        inner.varint(1, static_cast<int64_t>(type.dtype));
        if (type.shape) {
          Message shape;
          for (const Dim& dim : *type.shape) shape.message(1, dimension(dim));
          inner.message(2, shape);
        }
        out.message(1, inner);
        return out;
      }
      case Type::Kind::kSequence:
      case Type::Kind::kOptional:
        inner.message(1, this->type(*type.element));
        out.message(type.kind == Type::Kind::kSequence ? 4 : 9, inner);
        return out;
      case Type::Kind::kMap:
        inner.varint(1, static_cast<int64_t>(type.key));
        inner.message(2, this->type(*type.element));
        out.message(5, inner);
        return out;
    }
    return out;
  }

  static Message dimension(const Dim& dim) {
    Message out;
    if (dim.is_const()) {
      out.varint(1, dim.value());
    } else {
      std::string text;
      append(text, dim);
      // Bounds are no part of a name.
      if (const size_t bounds = text.find('{'); bounds != text.npos) text.resize(bounds);
      out.text(2, text);
    }
    return out;
  }

  const Model& model_;
  const OnnxWriteOptions& options_;
  std::unordered_map<const Value*, std::string> names_;
  std::set<std::string> used_nodes_;
  std::unordered_map<std::string, size_t> repeats_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace

Result<std::vector<uint8_t>> write_onnx(const Model& model, const OnnxWriteOptions& options) {
  QUERN_ASSIGN(Message message, Writer(model, options).model());
  return message.take();
}

}  // namespace quern
