// The graph: nodes over values with one producer each; subgraphs as attributes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "ir/dim.h"
#include "ir/dtype.h"
#include "ir/tensor.h"

namespace quern {

class Graph;
struct Node;

/// Graphs nest at most so deep, the main graph counted; importers and parsers refuse more, as
/// what walks a graph may recurse into bodies.
inline constexpr int kMaxGraphDepth = 32;

/// What a value holds. Containers (docs/sequences.md) carry their element's type in `element`:
/// what holds for every element. Of its extents only numbers mean something there.
struct Type {
  enum class Kind : uint8_t { kTensor, kSequence, kOptional, kMap };

  Kind kind = Kind::kTensor;
  DType dtype = DType::kUndefined;      ///< of the tensor, or of the innermost element
  std::optional<Shape> shape;           ///< nothing where the rank is unknown
  std::shared_ptr<const Type> element;  ///< of a container; of a map: its values' type
  DType key = DType::kUndefined;        ///< of a map

  [[nodiscard]] bool is_tensor() const { return kind == Kind::kTensor; }

  static Type tensor(DType dtype, std::optional<Shape> shape) {
    return {Kind::kTensor, dtype, std::move(shape), nullptr, DType::kUndefined};
  }
  static Type container(Kind kind, Type element, DType key = DType::kUndefined) {
    const DType dtype = element.dtype;
    return {kind, dtype, std::nullopt, std::make_shared<const Type>(std::move(element)), key};
  }
};
/// "f32[batch, 3]", "i64[*]" (unknown rank), "sequence<f32[n]>", "map<i64, f32[]>".
void append(std::string& out, const Type& type);

/// A value of any kind in host memory.
struct HostValue {
  Type::Kind kind = Type::Kind::kTensor;
  HostTensor tensor;                ///< of a tensor; of a container its `dtype` is the elements'
  std::vector<HostValue> elements;  ///< an optional's: one, or none; a map's: keys and values
};

/// A use of a value: input `index` of `node`.
struct Use {
  Node* node;
  size_t index;
};

/// A value: graph input, constant, or output of one node. Addresses are stable.
struct Value {
  uint32_t id = 0;   ///< unique in the whole model, over subgraphs
  std::string name;  ///< the model's name; may be empty
  Type type;
  Graph* graph = nullptr;     ///< the graph that owns it
  Node* producer = nullptr;   ///< nothing for graph inputs and constants
  size_t producer_index = 0;  ///< which output of the producer
  ConstantPtr constant;       ///< set for constants
  std::vector<Use> uses;      ///< by nodes of this graph and of its subgraphs; kept by Graph
  /// The symbolic contents of a small integer (or bool) tensor, row-major, where known.
  std::optional<std::vector<Dim>> contents;
  size_t slot = 0;  ///< Graph's own: where it looks first for the value in its list

  [[nodiscard]] bool is_constant() const { return constant != nullptr; }
};

/// An attribute. Graphs are shared only while a node is being moved.
using AttributeValue =
    std::variant<int64_t, float, std::string, std::vector<int64_t>, std::vector<float>,
                 std::vector<std::string>, ConstantPtr, std::shared_ptr<Graph>,
                 std::vector<std::shared_ptr<Graph>>, Type>;

/// An operation. Inputs may be null where optional and absent.
struct Node {
  uint32_t id = 0;
  std::string name;    ///< the model's name, or one made from op and output
  std::string op;      ///< "Conv"; "MatMulNBits"
  std::string domain;  ///< "" is the default ONNX domain; "com.microsoft"; "quern"
  int version = 0;     ///< the operator-set version that the model imports for `domain`
  std::vector<Value*> inputs;
  std::vector<Value*> outputs;
  std::map<std::string, AttributeValue, std::less<>> attributes;
  Graph* graph = nullptr;
  size_t slot = 0;  ///< Graph's own: where it looks first for the node in its list

  [[nodiscard]] Value* input(size_t i) const { return i < inputs.size() ? inputs[i] : nullptr; }
  [[nodiscard]] Value* output(size_t i) const { return i < outputs.size() ? outputs[i] : nullptr; }
  [[nodiscard]] bool is(std::string_view op_name, std::string_view in_domain = "") const {
    return op == op_name && domain == in_domain;
  }
  [[nodiscard]] const AttributeValue* attribute(std::string_view key) const;
  [[nodiscard]] int64_t int_or(std::string_view key, int64_t fallback) const;
  [[nodiscard]] float float_or(std::string_view key, float fallback) const;
  [[nodiscard]] std::string_view string_or(std::string_view key, std::string_view fallback) const;
  [[nodiscard]] const std::vector<int64_t>* ints(std::string_view key) const;
  [[nodiscard]] const std::vector<float>* floats(std::string_view key) const;
  [[nodiscard]] Graph* subgraph(std::string_view key) const;
  /// All graphs among the attributes, in attribute order.
  [[nodiscard]] std::vector<Graph*> subgraphs() const;
  /// "node 'conv1' (Conv)": how errors name it.
  [[nodiscard]] std::string describe() const;
};

/// A graph, owner of its nodes and values. A node may use values of enclosing graphs. The
/// invariants are those of `verify` in ir/verify.h. Nodes are kept in topological order.
class Graph {
 public:
  /// A main graph, or the body of a node of `outer`.
  explicit Graph(Graph* outer = nullptr);
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;
  ~Graph();

  std::string name;
  std::vector<Value*> inputs;
  std::vector<Value*> outputs;

  [[nodiscard]] Graph* outer() const { return outer_; }
  /// The enclosing main graph, which numbers nodes and values.
  [[nodiscard]] Graph* root();
  /// How many graphs enclose this one.
  [[nodiscard]] int depth() const;
  [[nodiscard]] const std::vector<std::unique_ptr<Node>>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<std::unique_ptr<Value>>& values() const { return values_; }

  Value* add_value(std::string name, Type type);
  /// A new graph input.
  Value* add_input(std::string name, Type type);
  Value* add_constant(std::string name, ConstantPtr constant);
  /// A new node with fresh outputs of unknown type, put before `before` (null: at the end).
  Node* add_node(std::string op, std::vector<Value*> inputs, size_t output_count,
                 Node* before = nullptr, std::string domain = "", int version = 0);
  /// A new node whose outputs are existing producer-less values of this graph.
  Node* add_node_with_outputs(std::string op, std::vector<Value*> inputs,
                              std::vector<Value*> outputs, Node* before = nullptr,
                              std::string domain = "", int version = 0);

  /// An index past the inputs adds absent ones up to it.
  void set_input(Node* node, size_t index, Value* value);
  void set_inputs(Node* node, std::vector<Value*> inputs);
  /// Makes every use of `from` (graph outputs of this graph and subgraphs included) use `to`;
  /// null makes them absent inputs, and leaves graph outputs alone.
  void replace_uses(Value* from, Value* to);
  /// Removes a node whose outputs have no uses, and its output values.
  void erase(Node* node);
  /// Removes nodes of this graph, whose outputs only they use, in one go: for many nodes this is
  /// much faster than one by one.
  void erase(std::span<Node* const> nodes);
  /// Removes constants and values without producer that nothing uses (inputs stay), in
  /// subgraphs too.
  void remove_unused_values();
  /// Is it among the outputs of this graph?
  [[nodiscard]] bool is_output(const Value* value) const;
  /// Sorts nodes topologically, in subgraphs too, keeping their order where possible; an error
  /// names a node of a cycle.
  Result<void> sort();
  /// Moves all nodes and values of `body` before `before`, its inputs replaced by
  /// `arguments` (null for an absent one); gives its outputs. `body` is left empty.
  Result<std::vector<Value*>> inline_body(Graph& body, std::span<Value* const> arguments,
                                          Node* before);
  /// A deep copy with the given outer graph; values of enclosing graphs are shared.
  [[nodiscard]] std::unique_ptr<Graph> clone(Graph* outer) const;

 private:
  friend class GraphParser;
  void track_uses(Node* node);
  void untrack_uses(Node* node);
  Result<void> sort_nodes();
  /// This graph and all below it.
  [[nodiscard]] std::vector<Graph*> family();

  Graph* outer_;
  std::vector<Graph*> children_;  // graphs made with this one as outer
  uint32_t next_id_ = 0;          // of the root only
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Value>> values_;
};

/// Calls `visit` for every node, outer ones first, bodies after their node. `visit` must not add
/// or erase nodes.
void for_each_node(Graph& graph, const std::function<void(Node&)>& visit);

/// One entry of the weight table: bytes that are not in the graph.
struct WeightInfo {
  std::string name;  ///< of the first initializer that uses it
  DType dtype = DType::kUndefined;
  Dims dims;
  uint64_t byte_length = 0;
  std::string file;  ///< external data file, relative; empty: the model file itself
  uint64_t file_offset = 0;
};

/// An input of a model, as a caller sees it.
struct ModelInput {
  std::string name;
  Type type;
  uint32_t value = 0;  ///< Value::id in the graph as imported
  /// With a default the value is a constant there, not an input (docs/sequences.md).
  bool has_default = false;
};

/// An imported model.
struct Model {
  std::unique_ptr<Graph> graph;
  std::vector<ModelInput> inputs;  ///< in the file's order; empty: the graph's
  std::vector<WeightInfo> weights;
  std::string format;  ///< "onnx"
  std::string producer;
  std::map<std::string, int, std::less<>> opsets;  ///< domain -> version
  std::map<std::string, std::string, std::less<>> metadata;
};

}  // namespace quern
