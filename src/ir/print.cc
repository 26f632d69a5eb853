#include "ir/print.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <set>

#include "ir/scanner.h"

namespace quern {
namespace {

void append_name(std::string& out, std::string_view name) {
  // A final colon would be taken for the one before a type.
  if (is_word(name, kNameCharacters) && !name.ends_with(':')) {
    out += name;
  } else {
    append_quoted(out, name);
  }
}

/// Words that begin something else than an operator where one may stand.
bool is_keyword(std::string_view word) {
  return word == "return" || word == "constant" || word == "weight" || word == "as";
}

/// "Add", "com.microsoft.Gelu", or in quotes with :: between them where that would not read back.
void append_op(std::string& out, const Node& node) {
  const std::string_view domain = node.domain;
  const std::string_view first = domain.empty() ? node.op : domain.substr(0, domain.find('.'));
  if (is_word(node.op, "") && (domain.empty() || is_word(domain, ".")) && !is_keyword(first)) {
    out += domain;
    if (!domain.empty()) out += '.';
    out += node.op;
    return;
  }
  append_quoted(out, domain);
  out += "::";
  append_quoted(out, node.op);
}

void append_hex(std::string& out, uint64_t bits) {
  char buffer[16];
  out += "0x";
  out.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, bits, 16).ptr);
}

/// An attribute's float: never like an integer.
void append_float_attribute(std::string& out, float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value) && bits != 0x7fc00000) return append_hex(out, bits);
  const size_t start = out.size();
  append(out, value);
  if (out.find_first_not_of("-0123456789", start) == std::string::npos) out += ".0";
}

/// Element `i`, as a number where that reads back as the same bits.
void append_element(std::string& out, DType type, const uint8_t* data, int64_t i) {
  if (type == DType::kU64) return append(out, static_cast<uint64_t>(load_int(type, data, i)));
  const uint64_t bits = load_bits(type, data, i);
  if (type == DType::kBool) {
    if (bits > 1) return append_hex(out, bits);
    return append(out, bits);
  }
  if (!is_float(type)) return append(out, load_int(type, data, i));
  double value = load_float(type, data, i);
  if (std::isnan(value)) value = std::numeric_limits<double>::quiet_NaN();
  uint8_t again[8] = {};
  store_float(type, again, 0, value);
  if (load_bits(type, again, 0) != bits) {
    append_hex(out, bits);
  } else if (type == DType::kF64) {
    append(out, value);
  } else {
    append(out, static_cast<float>(value));  // exact; shorter than the double's text
  }
}

void append_constant(std::string& out, const Constant& constant) {
  if (!constant.is_inline()) {
    out += cat("weight ", constant.weight, " ", constant.dtype, constant.dims);
    return;
  }
  const HostTensor& host = constant.host;
  out += cat("constant ", constant.dtype, constant.dims, " [");
  int64_t count = host.count();
  DType type = host.dtype;
  if (type == DType::kC64 || type == DType::kC128) {  // real and imaginary parts in turn
    type = type == DType::kC64 ? DType::kF32 : DType::kF64;
    count *= 2;
  }
  // Broken constants are printed as far as they go.
  const size_t width = static_cast<size_t>(bit_width(type));
  const size_t held = type == DType::kString ? host.strings.size()
                      : width                ? host.bytes.size() * 8 / width
                                             : 0;
  count = std::min(count, static_cast<int64_t>(held));
  for (int64_t i = 0; i < count; ++i) {
    if (i > 0) out += ", ";
    if (type == DType::kString) {
      append_quoted(out, host.strings[static_cast<size_t>(i)]);
    } else {
      append_element(out, type, host.bytes.data(), i);
    }
  }
  out += ']';
}

template <class T, class Print>
void append_list(std::string& out, std::string_view kind, const std::vector<T>& items,
                 Print print) {
  if (items.empty()) {  // nothing tells what it would hold
    out += kind;
    out += ' ';
  }
  out += '[';
  bool first = true;
  for (const T& item : items) {
    if (!first) out += ", ";
    first = false;
    print(item);
  }
  out += ']';
}

class Printer {
 public:
  std::string run(const Graph& graph) && {
    print_graph(graph, 0);
    out_ += '\n';
    return std::move(out_);
  }

 private:
  /// The recursion is bounded here, as nothing else bounds what passes build.
  void print_graph(const Graph& graph, int depth) {
    out_ += "graph ";
    if (depth >= kMaxGraphDepth) {
      out_ += "too_deep () { return }";
      return;
    }
    if (!graph.name.empty()) append_name(out_, graph.name);
    std::vector<std::string_view> entered;
    for (const std::unique_ptr<Value>& value : graph.values()) {
      if (value->name.empty()) continue;
      if (names_.insert(value->name).second) {
        entered.push_back(value->name);
      } else {
        numbered_.insert(value.get());
      }
    }
    out_ += '(';
    for (size_t i = 0; i < graph.inputs.size(); ++i) {
      if (i > 0) out_ += ", ";
      print_definition(*graph.inputs[i]);
    }
    out_ += ") {";
    const std::string indent(static_cast<size_t>(depth) * 2, ' ');
    const std::string line = cat("\n", indent, "  ");
    for (const std::unique_ptr<Value>& value : graph.values()) {
      if (value->constant) {
        out_ += line;
        print_constant(*value);
      }
    }
    for (const std::unique_ptr<Node>& node : graph.nodes()) {
      out_ += line;
      print_node(*node, depth);
    }
    out_ += line;
    out_ += "return";
    for (size_t i = 0; i < graph.outputs.size(); ++i) {
      out_ += i > 0 ? ", " : " ";
      print_value(graph.outputs[i]);
    }
    out_ += cat("\n", indent, "}");
    for (const std::string_view name : entered) names_.erase(name);
  }

  void print_value(const Value* value) {
    if (!value) {
      out_ += '_';
      return;
    }
    out_ += '%';
    if (value->name.empty()) return append(out_, value->id);
    const bool digits = value->name.find_first_not_of("0123456789") == std::string::npos;
    if (digits) {  // without quotes it would be a number
      append_quoted(out_, value->name);
    } else {
      append_name(out_, value->name);
    }
    if (numbered_.contains(value)) out_ += cat("#", value->id);
  }

  void print_contents(const Value& value) {
    if (value.contents) out_ += cat(" = {", join(*value.contents, ", "), "}");
  }

  void print_definition(const Value& value) {
    print_value(&value);
    const Type& type = value.type;
    if (type.kind != Type::Kind::kTensor || type.dtype != DType::kUndefined || type.shape) {
      out_ += cat(": ", type);
    }
    print_contents(value);
  }

  void print_constant(const Value& value) {
    print_value(&value);
    print_contents(value);
    out_ += " = ";
    append_constant(out_, *value.constant);
  }

  void print_node(const Node& node, int depth) {
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (i > 0) out_ += ", ";
      if (node.outputs[i]) {
        print_definition(*node.outputs[i]);
      } else {
        out_ += '_';
      }
    }
    if (!node.outputs.empty()) out_ += " = ";
    append_op(out_, node);
    if (node.version != 0) out_ += cat("@", node.version);
    out_ += '(';
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (i > 0) out_ += ", ";
      print_value(node.inputs[i]);
    }
    out_ += ')';
    if (!node.attributes.empty()) {
      out_ += " {";
      bool first = true;
      for (const auto& [key, value] : node.attributes) {
        if (!first) out_ += ", ";
        first = false;
        append_name(out_, key);
        out_ += " = ";
        print_attribute(value, depth);
      }
      out_ += '}';
    }
    if (!node.name.empty()) {
      out_ += " as ";
      append_name(out_, node.name);
    }
  }

  void print_body(const std::shared_ptr<Graph>& graph, int depth) {
    if (graph) {
      print_graph(*graph, depth + 1);
    } else {
      out_ += "null";
    }
  }

  void print_attribute(const AttributeValue& value, int depth) {
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      append(out_, *integer);
    } else if (const auto* number = std::get_if<float>(&value)) {
      append_float_attribute(out_, *number);
    } else if (const auto* text = std::get_if<std::string>(&value)) {
      append_quoted(out_, *text);
    } else if (const auto* ints = std::get_if<std::vector<int64_t>>(&value)) {
      append_list(out_, "ints", *ints, [&](int64_t item) { append(out_, item); });
    } else if (const auto* floats = std::get_if<std::vector<float>>(&value)) {
      append_list(out_, "floats", *floats, [&](float item) { append_float_attribute(out_, item); });
    } else if (const auto* strings = std::get_if<std::vector<std::string>>(&value)) {
      append_list(out_, "strings", *strings,
                  [&](const std::string& item) { append_quoted(out_, item); });
    } else if (const auto* constant = std::get_if<ConstantPtr>(&value)) {
      if (*constant) {
        append_constant(out_, **constant);
      } else {
        out_ += "null";
      }
    } else if (const auto* graph = std::get_if<std::shared_ptr<Graph>>(&value)) {
      print_body(*graph, depth);
    } else if (const auto* graphs = std::get_if<std::vector<std::shared_ptr<Graph>>>(&value)) {
      append_list(out_, "graphs", *graphs,
                  [&](const std::shared_ptr<Graph>& item) { print_body(item, depth); });
    } else if (const auto* type = std::get_if<Type>(&value)) {
      out_ += cat("type ", *type);
    }
  }

  std::string out_;
  std::set<std::string_view> names_;  // in scope
  std::set<const Value*> numbered_;   // whose names were taken when they came into scope
};

}  // namespace

std::string print(const Graph& graph) { return Printer().run(graph); }

}  // namespace quern
