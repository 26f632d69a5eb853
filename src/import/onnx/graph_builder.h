// From ONNX's GraphProto, NodeProto and FunctionProto to nodes and values. Internal to the
// importer.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "import/onnx/import.h"
#include "import/onnx/type_proto.h"
#include "import/scan/protobuf.h"

namespace quern {
struct TensorHeader;
}  // namespace quern

namespace quern::onnx {

/// Counts the memory that a model takes, about: what a file of a given size unfolds to is bounded
/// by this alone.
class Budget {
 public:
  explicit Budget(uint64_t limit) : limit_(limit), left_(limit) {}
  /// kLimit where so many bytes more are too many.
  Result<void> charge(uint64_t bytes);
  [[nodiscard]] uint64_t left() const { return left_; }

 private:
  uint64_t limit_;
  uint64_t left_;
};

/// Of a field's entry in the structures below, about.
inline constexpr uint64_t kFieldMemory = 64;

/// Operator-set version by domain; ONNX's own is "".
using Opsets = std::map<std::string, int, std::less<>>;

/// "ai.onnx" is another name for "".
inline std::string_view plain_domain(std::string_view domain) {
  return domain == "ai.onnx" ? "" : domain;
}
/// Adds an OperatorSetIdProto.
Result<void> read_opset(Bytes message, Opsets& opsets);

struct NodeProto {
  std::string_view name, op, domain, overload;
  std::vector<std::string_view> inputs, outputs;
  std::vector<Bytes> attributes;

  [[nodiscard]] std::string describe() const;
};

/// AttributeProto.AttributeType.
enum AttributeType : int64_t {
  kUndefined,
  kFloat,
  kInt,
  kString,
  kTensor,
  kGraph,
  kFloats,
  kInts,
  kStrings,
  kTensors,
  kGraphs,
  kSparseTensor,
  kSparseTensors,
  kTypeProto,
  kTypeProtos
};

struct AttributeProto {
  std::string_view name, reference;
  int64_t type = kUndefined;
  int64_t i = 0;
  float f = 0;
  Bytes s, t, g, sparse_tensor, type_proto;
  std::vector<int64_t> ints;
  std::vector<float> floats;
  std::vector<std::string> strings;
  std::vector<Bytes> graphs;
};
Result<AttributeProto> read_attribute(Bytes message, Budget& budget);

/// A model-local function.
struct Function {
  std::string_view name, domain, overload;
  std::vector<std::string_view> inputs, outputs;
  std::vector<Bytes> defaults;  // attributes with their default values
  std::vector<NodeProto> nodes;
  Opsets opsets;
};
Result<Function> read_function(Bytes message, Budget& budget);

/// Values by name; names not found are looked up in `outer`. Null stands for an absent optional
/// input of a function.
struct Scope {
  const Scope* outer = nullptr;
  std::unordered_map<std::string_view, Value*> names;

  [[nodiscard]] Value* const* find(std::string_view name) const;
};

/// Where nodes come from: the main graph, or one call of a function.
struct Context {
  const Opsets* opsets = nullptr;
  std::string prefix;                  // before the names of nodes and values
  const Function* function = nullptr;  // null: the main graph
  const NodeProto* call = nullptr;     // the node that calls it, which stands in:
  const Context* caller = nullptr;
  const Scope* caller_scope = nullptr;
};

/// Reads tensors into constants, and fills the weight table.
class ConstantReader {
 public:
  ConstantReader(Bytes skeleton, std::span<const ScannedWeight> weights, uint64_t sparse_limit,
                 Budget& budget);

  Result<ConstantPtr> tensor(Bytes message, std::string_view* name = nullptr);
  Result<ConstantPtr> sparse(Bytes message, std::string* name = nullptr);

  [[nodiscard]] std::vector<WeightInfo>& weights() { return weights_; }

 private:
  Result<uint32_t> scanned_weight(const TensorHeader& header);
  Result<uint32_t> external_weight(const TensorHeader& header);

  Bytes skeleton_;
  std::span<const ScannedWeight> scanned_;
  uint64_t sparse_limit_;
  Budget& budget_;
  std::vector<WeightInfo> weights_;
  std::unordered_map<const uint8_t*, ConstantPtr> cache_;  // functions read a tensor repeatedly
  std::map<std::string, uint32_t> external_;               // by file and range
};

class GraphBuilder {
 public:
  /// `defaults`: inputs that an initializer gives a value may get another one.
  GraphBuilder(const std::vector<Function>& functions, ConstantReader& constants, Budget& budget,
               int max_depth, bool defaults);

  /// Fills `graph` from a GraphProto. `outer` is null for the main graph.
  Result<void> build(Bytes message, Graph& graph, const Scope* outer, const Context& context);
  /// Of the main graph, once it is built.
  [[nodiscard]] std::vector<ModelInput>& inputs() { return inputs_; }

 private:
  /// The caller's values for a function's outputs.
  using Bound = std::unordered_map<std::string_view, Value*>;
  using ValueInfos = std::unordered_map<std::string_view, Bytes>;

  Result<void> build_nodes(const std::vector<NodeProto>& nodes, Graph& graph, Scope& scope,
                           const Context& context, const Bound& bound, const ValueInfos& infos);
  Result<void> build_node(const NodeProto& proto, Graph& graph, const Scope& scope,
                          const Context& context);
  Result<void> expand(const Function& function, const NodeProto& call,
                      const std::vector<Value*>& inputs, Graph& graph, const Scope& scope,
                      const Context& context);
  Result<Value*> declare(std::string_view name, Graph& graph, const Context& context,
                         const Bound& bound, const ValueInfos& infos);
  Result<void> define(Scope& scope, std::string_view name, Value* value);
  Result<void> add_input(Bytes value_info, Graph& graph, Scope& scope, const Context& context);
  Result<void> add_initializer(std::string_view name, ConstantPtr constant, Graph& graph,
                               Scope& scope, const Context& context);

  /// Nothing where it refers to an attribute that the function's caller left out.
  Result<std::optional<AttributeValue>> attribute_value(AttributeProto attribute, Graph& graph,
                                                        const Scope& scope, const Context& context);
  Result<ConstantPtr> constant_node(const NodeProto& proto, Graph& graph, const Scope& scope,
                                    const Context& context);
  Result<int> version_of(const NodeProto& proto, const Context& context) const;
  const Function* find_function(const NodeProto& proto) const;
  Result<void> enter();

  std::map<std::string, const Function*, std::less<>> functions_;  // by domain, name, overload
  ConstantReader& constants_;
  Budget& budget_;
  int max_depth_;
  bool defaults_;
  TypeReader types_;
  std::vector<ModelInput> inputs_;
  int depth_ = 0;  // of build and expand in one another
};

}  // namespace quern::onnx
