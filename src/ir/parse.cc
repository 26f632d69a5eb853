#include <cmath>
#include <cstdlib>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "ir/print.h"
#include "ir/scanner.h"

namespace quern {

/// Reads the form that ir/print.h shows. Graph lets it set the numbers of values.
class GraphParser {
 public:
  explicit GraphParser(std::string_view text) : in_(text) {}

  Result<std::unique_ptr<Graph>> run() {
    auto graph = std::make_unique<Graph>();
    QUERN_TRY(in_.expect("graph"));
    QUERN_TRY(parse_graph(*graph, 0));
    if (!in_.at_end()) return in_.fail("expected the end of the text");
    // What has no number in the text gets one that the text doesn't use.
    for (uint32_t* id : numberless_) *id = next_id_++;
    graph->next_id_ = next_id_;
    return graph;
  }

 private:
  /// A value about to be defined. Its name counts in the text after its node.
  struct Definition {
    std::string name;
    std::optional<uint32_t> id;
    Type type;
    std::optional<std::vector<Dim>> contents;
  };
  using Scope = std::unordered_map<std::string, Value*>;

  // The number of a value is at most this, so that numbers for the others remain.
  static constexpr int64_t kMaxId = INT32_MAX;
  static constexpr size_t kMaxTypeDepth = 16;

  /// From the graph's name on.
  Result<void> parse_graph(Graph& graph, int depth) {
    if (depth >= kMaxGraphDepth) return in_.fail("graphs nested too deep");
    if (in_.peek() != '(') {
      QUERN_ASSIGN(graph.name, in_.name());
    }
    scopes_.emplace_back();
    QUERN_TRY(in_.expect("("));
    while (!in_.accept(")")) {
      if (!graph.inputs.empty()) QUERN_TRY(in_.expect(","));
      QUERN_ASSIGN(Definition definition, parse_definition());
      QUERN_ASSIGN(Value * value, define(graph, std::move(definition)));
      graph.inputs.push_back(value);
    }
    QUERN_TRY(in_.expect("{"));
    while (!in_.accept("return")) QUERN_TRY(parse_statement(graph, depth));
    while (!in_.accept("}")) {
      if (!graph.outputs.empty()) QUERN_TRY(in_.expect(","));
      QUERN_ASSIGN(Value * value, parse_use());
      if (!value) return in_.fail("an output can't be absent");
      graph.outputs.push_back(value);
    }
    scopes_.pop_back();
    return {};
  }

  /// "%name", "%"quoted"", "%7" or "%name#7": name and number.
  Result<void> parse_value_name(Definition& out) {
    QUERN_TRY(in_.expect("%"));
    const bool quoted = in_.peek() == '"';
    QUERN_ASSIGN(out.name, in_.name());
    int64_t id = -1;
    if (!quoted && out.name.find_first_not_of("0123456789") == std::string::npos) {
      if (out.name.size() > 10) return in_.fail("number of a value too large");
      id = std::strtoll(out.name.c_str(), nullptr, 10);
      out.name.clear();
    } else if (in_.accept("#")) {
      QUERN_ASSIGN(id, in_.integer());
      if (id < 0) return in_.fail("negative number of a value");
    } else {
      return {};
    }
    if (id > kMaxId) return in_.fail("number of a value too large");
    out.id = static_cast<uint32_t>(id);
    return {};
  }

  static std::string key(const Definition& definition) {
    std::string out = cat(definition.name, '\0');
    if (definition.id) append(out, *definition.id);
    return out;
  }

  Result<Definition> parse_definition() {
    Definition definition;
    QUERN_TRY(parse_value_name(definition));
    if (in_.accept(":")) {
      QUERN_ASSIGN(definition.type, parse_type());
    }
    // "= {" gives contents; "=" with anything else after it comes before an operator.
    Scanner ahead = in_;
    if (ahead.accept("=") && ahead.accept("{")) {
      in_ = ahead;
      QUERN_ASSIGN(definition.contents, parse_dims("}"));
    }
    return definition;
  }

  Result<std::vector<Dim>> parse_dims(std::string_view end) {
    std::vector<Dim> dims;
    while (!in_.accept(end)) {
      if (!dims.empty()) QUERN_TRY(in_.expect(","));
      QUERN_ASSIGN(Dim dim, in_.dim());
      dims.push_back(std::move(dim));
    }
    return dims;
  }

  Result<Value*> define(Graph& graph, Definition definition) {
    std::string name_key = key(definition);
    if (scopes_.back().contains(name_key)) return in_.fail("value defined twice");
    Value* value = graph.add_value(std::move(definition.name), std::move(definition.type));
    value->contents = std::move(definition.contents);
    if (definition.id) {
      if (!ids_.insert(*definition.id).second) return in_.fail("number of a value used twice");
      value->id = *definition.id;
      next_id_ = std::max(next_id_, value->id + 1);
    } else {
      numberless_.push_back(&value->id);
    }
    scopes_.back()[std::move(name_key)] = value;
    return value;
  }

  /// A value by name, or null for "_".
  Result<Value*> parse_use() {
    if (in_.peek() != '%') {
      if (in_.accept("_")) return nullptr;
      return in_.fail("expected a value");
    }
    Definition wanted;
    QUERN_TRY(parse_value_name(wanted));
    const std::string name_key = key(wanted);
    for (size_t i = scopes_.size(); i-- > 0;) {
      const auto found = scopes_[i].find(name_key);
      if (found != scopes_[i].end()) return found->second;
    }
    return in_.fail("value not defined before");
  }

  Result<void> parse_statement(Graph& graph, int depth) {
    std::vector<Definition> definitions;
    if (in_.peek() == '%') {
      do {
        QUERN_ASSIGN(Definition definition, parse_definition());
        definitions.push_back(std::move(definition));
      } while (in_.accept(","));
      QUERN_TRY(in_.expect("="));
      if (definitions.size() == 1) {
        QUERN_ASSIGN(ConstantPtr constant, parse_constant());
        if (constant) {
          QUERN_ASSIGN(Value * value, define(graph, std::move(definitions[0])));
          Shape shape(constant->dims.begin(), constant->dims.end());
          value->type = Type::tensor(constant->dtype, std::move(shape));
          value->constant = std::move(constant);
          return {};
        }
      }
    }
    return parse_node(graph, depth, std::move(definitions));
  }

  Result<void> parse_op(Node& node) {
    if (in_.peek() == '"') {
      QUERN_ASSIGN(node.domain, in_.quoted());
      QUERN_TRY(in_.expect("::"));
      QUERN_ASSIGN(node.op, in_.quoted());
    } else {
      const std::string_view word = in_.word(".");
      const size_t dot = word.rfind('.');
      if (dot != std::string_view::npos) node.domain = word.substr(0, dot);
      node.op = dot == std::string_view::npos ? word : word.substr(dot + 1);
      if (node.op.empty()) return in_.fail("expected an operator or 'return'");
    }
    if (in_.accept("@")) {
      QUERN_ASSIGN(const int64_t version, in_.integer());
      if (version < INT32_MIN || version > INT32_MAX) return in_.fail("version out of range");
      node.version = static_cast<int>(version);
    }
    return {};
  }

  Result<void> parse_node(Graph& graph, int depth, std::vector<Definition> definitions) {
    Node parsed;
    QUERN_TRY(parse_op(parsed));
    QUERN_TRY(in_.expect("("));
    while (!in_.accept(")")) {
      if (!parsed.inputs.empty()) QUERN_TRY(in_.expect(","));
      QUERN_ASSIGN(Value * value, parse_use());
      parsed.inputs.push_back(value);
    }
    if (in_.accept("{")) {
      while (!in_.accept("}")) {
        if (!parsed.attributes.empty()) QUERN_TRY(in_.expect(","));
        QUERN_ASSIGN(std::string attribute, in_.name());
        QUERN_TRY(in_.expect("="));
        if (parsed.attributes.contains(attribute)) return in_.fail("attribute given twice");
        QUERN_ASSIGN(AttributeValue value, parse_attribute(graph, depth));
        parsed.attributes.emplace(std::move(attribute), std::move(value));
      }
    }
    if (in_.accept("as")) {
      QUERN_ASSIGN(parsed.name, in_.name());
    }
    for (Definition& definition : definitions) {
      QUERN_ASSIGN(Value * value, define(graph, std::move(definition)));
      parsed.outputs.push_back(value);
    }
    Node* node = graph.add_node_with_outputs(std::move(parsed.op), std::move(parsed.inputs),
                                             std::move(parsed.outputs), nullptr,
                                             std::move(parsed.domain), parsed.version);
    node->name = std::move(parsed.name);
    node->attributes = std::move(parsed.attributes);
    numberless_.push_back(&node->id);
    return {};
  }

  Result<Type> parse_type() {
    struct Outer {
      Type::Kind kind;
      DType key = DType::kUndefined;
    };
    std::vector<Outer> outer;
    while (true) {
      if (in_.accept("sequence")) {
        outer.push_back({Type::Kind::kSequence});
      } else if (in_.accept("optional")) {
        outer.push_back({Type::Kind::kOptional});
      } else if (in_.accept("map")) {
        outer.push_back({Type::Kind::kMap});
      } else {
        break;
      }
      if (outer.size() > kMaxTypeDepth) return in_.fail("type nested too deep");
      QUERN_TRY(in_.expect("<"));
      if (outer.back().kind != Type::Kind::kMap) continue;
      const std::optional<DType> key = dtype_named(in_.word());
      if (!key) return in_.fail("expected the type of a map's keys");
      outer.back().key = *key;
      QUERN_TRY(in_.expect(","));
    }
    const std::string_view name = in_.word();
    const std::optional<DType> dtype = dtype_named(name);
    if (!dtype) return in_.fail("expected an element type");
    QUERN_TRY(in_.expect("["));
    Type type = Type::tensor(*dtype, std::nullopt);
    if (in_.accept("*")) {
      QUERN_TRY(in_.expect("]"));
    } else {
      QUERN_ASSIGN(type.shape, parse_dims("]"));
    }
    for (size_t i = outer.size(); i-- > 0;) {
      QUERN_TRY(in_.expect(">"));
      type = Type::container(outer[i].kind, std::move(type), outer[i].key);
    }
    return type;
  }

  /// "constant ..." or "weight ..."; null where neither follows.
  Result<ConstantPtr> parse_constant() {
    auto constant = std::make_shared<Constant>();
    const bool weight = in_.accept("weight");
    if (weight) {
      QUERN_ASSIGN(const int64_t index, in_.integer());
      if (index < 0 || index >= Constant::kInline) return in_.fail("weight out of range");
      constant->weight = static_cast<uint32_t>(index);
    } else if (!in_.accept("constant")) {
      return nullptr;
    }
    QUERN_ASSIGN(const Type type, parse_type());
    const std::optional<Dims> dims = type.shape ? constant_dims(*type.shape) : std::nullopt;
    if (type.kind != Type::Kind::kTensor || !dims) {
      return in_.fail("expected a tensor type of constant shape");
    }
    constant->dtype = type.dtype;
    constant->dims = *dims;
    const Result<int64_t> count = element_count(*dims);
    if (!count) return in_.fail(count.error().message);
    if (!weight) QUERN_TRY(parse_elements(*constant, *count));
    return constant;
  }

  Result<void> parse_elements(Constant& constant, int64_t count) {
    DType type = constant.dtype;
    // Each element takes a character at least: no memory is taken for what the text can't hold.
    if (static_cast<uint64_t>(count) > in_.remaining()) return in_.fail("elements are missing");
    Result<HostTensor> tensor = HostTensor::zeros(type, constant.dims);
    if (!tensor) return in_.fail(tensor.error().message);
    if (type == DType::kC64 || type == DType::kC128) {
      type = type == DType::kC64 ? DType::kF32 : DType::kF64;
      count *= 2;
    }
    QUERN_TRY(in_.expect("["));
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0) QUERN_TRY(in_.expect(","));
      if (type == DType::kString) {
        QUERN_ASSIGN(tensor->strings[static_cast<size_t>(i)], in_.quoted());
      } else {
        QUERN_TRY(parse_element(type, tensor->bytes.data(), i));
      }
    }
    QUERN_TRY(in_.expect("]"));
    constant.host = *std::move(tensor);
    return {};
  }

  Result<void> parse_element(DType type, uint8_t* data, int64_t i) {
    const std::string_view text = in_.number();
    const char* const end = text.data() + text.size();
    if (text.starts_with("0x")) {
      uint64_t bits = 0;
      const auto [next, error] = std::from_chars(text.data() + 2, end, bits, 16);
      store_bits(type, data, i, bits);
      if (error != std::errc() || next != end || load_bits(type, data, i) != bits) {
        return in_.fail(cat("expected the bits of ", type));
      }
      return {};
    }
    if (type == DType::kU64) {
      uint64_t value = 0;
      const auto [next, error] = std::from_chars(text.data(), end, value);
      if (error != std::errc() || next != end) return in_.fail("expected a u64");
      store_bits(type, data, i, value);
      return {};
    }
    if (is_float(type)) {
      double value = 0;
      if (!parse_number(text, type == DType::kF64, value)) return in_.fail("expected a number");
      store_float(type, data, i, value);
      return {};
    }
    int64_t value = 0;
    const auto [next, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc() && next == end) store_int(type, data, i, value);
    if (error != std::errc() || next != end || load_int(type, data, i) != value) {
      return in_.fail(cat("expected an element of ", type));
    }
    return {};
  }

  /// The nearest double, or the nearest float, which rounds once.
  static bool parse_number(std::string_view text, bool wide, double& value) {
    // from_chars for floating point is missing from some standard libraries that we build with.
    char buffer[400];
    if (text.empty() || text.size() >= sizeof buffer) return false;
    std::memcpy(buffer, text.data(), text.size());
    buffer[text.size()] = '\0';
    char* end = nullptr;
    value = wide ? std::strtod(buffer, &end) : static_cast<double>(std::strtof(buffer, &end));
    return end == buffer + text.size();
  }

  Result<AttributeValue> parse_attribute(Graph& graph, int depth) {
    const char next = in_.peek();
    if (next == '"') return in_.quoted();
    if (next == '[') return parse_list<void>(graph, depth);
    if (in_.accept("ints")) return parse_list<int64_t>(graph, depth);
    if (in_.accept("floats")) return parse_list<float>(graph, depth);
    if (in_.accept("strings")) return parse_list<std::string>(graph, depth);
    if (in_.accept("graphs")) return parse_list<std::shared_ptr<Graph>>(graph, depth);
    if (in_.accept("graph")) return parse_body(graph, depth);
    if (in_.accept("type")) return parse_type();
    QUERN_ASSIGN(ConstantPtr constant, parse_constant());
    if (constant) return constant;
    return parse_scalar();
  }

  Result<std::shared_ptr<Graph>> parse_body(Graph& graph, int depth) {
    auto body = std::make_shared<Graph>(&graph);
    QUERN_TRY(parse_graph(*body, depth + 1));
    return body;
  }

  /// A float where the number is not written as an integer.
  Result<AttributeValue> parse_scalar() {
    const std::string_view text = in_.number();
    if (text.starts_with("0x")) {
      uint32_t bits = 0;
      const char* const end = text.data() + text.size();
      const auto [next, error] = std::from_chars(text.data() + 2, end, bits, 16);
      if (error != std::errc() || next != end) return in_.fail("expected the bits of a float");
      return std::bit_cast<float>(bits);
    }
    if (!text.empty() && text.find_first_not_of("-0123456789") == std::string_view::npos) {
      int64_t value = 0;
      const char* const end = text.data() + text.size();
      const auto [next, error] = std::from_chars(text.data(), end, value);
      if (error != std::errc() || next != end) return in_.fail("expected an integer of 64 bits");
      return value;
    }
    double value = 0;
    if (!parse_number(text, false, value)) return in_.fail("expected an attribute value");
    return static_cast<float>(value);
  }

  static float as_float(const AttributeValue& value) {
    const auto* integer = std::get_if<int64_t>(&value);
    return integer ? static_cast<float>(*integer) : std::get<float>(value);
  }

  /// A list of `Item`; void: of whatever its first item is, of floats where any number is one.
  template <class Item>
  Result<AttributeValue> parse_list(Graph& graph, int depth) {
    QUERN_TRY(in_.expect("["));
    std::vector<std::string> strings;
    std::vector<std::shared_ptr<Graph>> graphs;
    std::vector<AttributeValue> numbers;
    bool any_float = std::is_same_v<Item, float>;
    while (!in_.accept("]")) {
      if (!strings.empty() || !graphs.empty() || !numbers.empty()) QUERN_TRY(in_.expect(","));
      if (in_.peek() == '"') {
        QUERN_ASSIGN(std::string text, in_.quoted());
        strings.push_back(std::move(text));
      } else if (in_.accept("graph")) {
        QUERN_ASSIGN(std::shared_ptr<Graph> body, parse_body(graph, depth));
        graphs.push_back(std::move(body));
      } else {
        QUERN_ASSIGN(AttributeValue number, parse_scalar());
        any_float |= std::holds_alternative<float>(number);
        numbers.push_back(std::move(number));
      }
    }
    const bool of_strings = std::is_same_v<Item, std::string> || !strings.empty();
    const bool of_graphs = std::is_same_v<Item, std::shared_ptr<Graph>> || !graphs.empty();
    const bool of_numbers =
        std::is_same_v<Item, int64_t> || std::is_same_v<Item, float> || !numbers.empty();
    if (of_strings + of_graphs + of_numbers != 1 || (std::is_same_v<Item, int64_t> && any_float)) {
      return in_.fail("a list has items of one kind; an empty one needs it named before");
    }
    if (of_strings) return strings;
    if (of_graphs) return graphs;
    if (any_float) {
      std::vector<float> floats;
      for (const AttributeValue& number : numbers) floats.push_back(as_float(number));
      return floats;
    }
    std::vector<int64_t> ints;
    for (const AttributeValue& number : numbers) ints.push_back(std::get<int64_t>(number));
    return ints;
  }

  Scanner in_;
  std::vector<Scope> scopes_;
  std::unordered_set<uint32_t> ids_;
  std::vector<uint32_t*> numberless_;
  uint32_t next_id_ = 0;
};

Result<std::unique_ptr<Graph>> parse_graph(std::string_view text) {
  return GraphParser(text).run();
}

}  // namespace quern
