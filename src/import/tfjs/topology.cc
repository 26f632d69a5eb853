#include "import/tfjs/topology.h"

#include <charconv>
#include <cmath>

namespace quern::tfjs {
namespace {

using tensorflow::Attribute;
using tensorflow::FunctionDef;
using tensorflow::GraphDef;
using tensorflow::NodeDef;

constexpr size_t kMostNodes = 1'000'000;

/// int64 numbers are strings in protobuf's JSON.
std::optional<int64_t> integer(const Json& json) {
  if (const auto number = integer_of(json)) return number;
  constexpr double kLimit = 9223372036854775808.0;  // 2^63
  if (const auto number = number_of(json);
      number && *number >= -kLimit && *number < kLimit && *number == std::trunc(*number)) {
    return static_cast<int64_t>(*number);
  }
  const std::string_view text = text_of(json);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

std::string base64(std::string_view text) {
  std::string out;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    uint32_t value = 0;
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '-') {
      value = 62;
    } else if (c == '/' || c == '_') {
      value = 63;
    } else {
      continue;
    }
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      out += static_cast<char>(bits >> count & 255);
    }
  }
  return out;
}

/// A string: base64, or a list of bytes in older files.
std::string string_of(const Json& json) {
  if (!json.is_array()) return base64(text_of(json));
  std::string out;
  for (const Json& byte : items_of(json)) out += static_cast<char>(integer(byte).value_or(0));
  return out;
}

Result<Attribute> read_attribute(const Json& json) {
  Attribute out;
  if (!json.is_object()) return out;
  for (const auto& [key, value] : json.items()) {
    if (key == "i") out.i = integer(value);
    if (key == "f") out.f = number_of(value);
    if (key == "b" && value.is_boolean()) out.b = value == true;
    if (key == "s") out.s = string_of(value);
    if (key == "type") out.type = read_dtype(value);
    if (key == "shape") out.shape = read_shape(value);
    if (key == "func") out.s = std::string(text_of(member(value, "name")));
    if (key == "list") {
      for (const Json& item : items_of(member(value, "i")))
        out.ints.push_back(integer(item).value_or(0));
      for (const Json& item : items_of(member(value, "f")))
        out.floats.push_back(number_of(item).value_or(0));
      for (const Json& item : items_of(member(value, "s"))) out.strings.push_back(string_of(item));
      for (const Json& item : items_of(member(value, "type")))
        out.types.push_back(read_dtype(item));
      for (const Json& item : items_of(member(value, "func")))
        out.functions.emplace_back(text_of(member(item, "name")));
    }
  }
  // A number that JSON leaves out is 0.
  return out;
}

Result<NodeDef> read_node(const Json& json) {
  NodeDef node;
  node.name = text_of(member(json, "name"));
  node.op = text_of(member(json, "op"));
  if (node.name.empty() || node.op.empty()) return invalid_model("a node without name or operator");
  for (const Json& input : items_of(member(json, "input"))) {
    const std::string_view text = text_of(input);
    if (text.empty())
      return invalid_model(cat("node '", node.name, "' has an input without a name"));
    node.inputs.emplace_back(text);
  }
  const Json& attributes = member(json, "attr");
  if (attributes.is_object()) {
    for (const auto& [key, value] : attributes.items()) {
      QUERN_ASSIGN(node.attributes[key], read_attribute(value));
    }
  }
  return node;
}

Result<std::vector<NodeDef>> read_nodes(const Json& list) {
  std::vector<NodeDef> out;
  const Json::array_t& items = items_of(list);
  if (items.size() > kMostNodes) return limit_exceeded(cat(items.size(), " nodes"));
  for (const Json& item : items) {
    QUERN_ASSIGN(NodeDef node, read_node(item));
    out.push_back(std::move(node));
  }
  return out;
}

std::vector<tensorflow::FunctionArgument> read_arguments(const Json& list) {
  std::vector<tensorflow::FunctionArgument> out;
  for (const Json& item : items_of(list)) {
    out.push_back({std::string(text_of(member(item, "name"))), read_dtype(member(item, "type"))});
  }
  return out;
}

}  // namespace

DType read_dtype(const Json& json) {
  const std::string_view name = text_of(json);
  const int64_t number = name.empty() ? integer(json).value_or(0) : tensorflow::dtype_number(name);
  const DType dtype = tensorflow::dtype_of(number);
  if (is_float(dtype)) return DType::kF32;
  return is_integer(dtype) ? DType::kI32 : dtype;
}

tensorflow::PartialShape read_shape(const Json& json) {
  if (member(json, "unknownRank") == true) return {};
  std::vector<int64_t> dims;
  for (const Json& dim : items_of(member(json, "dim"))) {
    dims.push_back(std::max<int64_t>(integer(member(dim, "size")).value_or(0), -1));
  }
  return dims;
}

Result<GraphDef> read_topology(const Json& topology) {
  GraphDef out;
  QUERN_ASSIGN(out.nodes, read_nodes(member(topology, "node")));
  for (const Json& json : items_of(member(member(topology, "library"), "function"))) {
    FunctionDef function;
    const Json& signature = member(json, "signature");
    function.name = text_of(member(signature, "name"));
    function.inputs = read_arguments(member(signature, "inputArg"));
    function.outputs = read_arguments(member(signature, "outputArg"));
    auto nodes = read_nodes(member(json, "nodeDef"));
    if (!nodes)
      return std::unexpected(std::move(nodes).error().in(cat("function '", function.name, "'")));
    function.nodes = *std::move(nodes);
    const Json& results = member(json, "ret");
    if (results.is_object()) {
      for (const auto& [key, value] : results.items()) function.results[key] = text_of(value);
    }
    std::string name = function.name;
    out.functions.insert_or_assign(std::move(name), std::move(function));
  }
  return out;
}

}  // namespace quern::tfjs
