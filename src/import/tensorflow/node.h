// TensorFlow graphs in a form that model.json and GraphDef share: nodes with attributes, and the
// function library. After tensorflow/core/framework/{graph,node_def,attr_value,function}.proto.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ir/tensor.h"

namespace quern::tensorflow {

/// A shape of an attribute: nothing where the rank is unknown; -1 for unknown extents.
using PartialShape = std::optional<std::vector<int64_t>>;

/// A TensorProto: its contents, or where they lie in the model file.
struct StoredTensor {
  DType dtype = DType::kUndefined;
  Dims dims;
  std::optional<HostTensor> host;
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// An AttrValue. The members that its kind does not have are empty.
struct Attribute {
  std::optional<int64_t> i;
  std::optional<double> f;
  std::optional<bool> b;
  std::optional<std::string> s;  ///< also a function's name
  DType type = DType::kUndefined;
  std::optional<PartialShape> shape;
  std::optional<StoredTensor> tensor;
  std::vector<int64_t> ints;
  std::vector<double> floats;
  std::vector<std::string> strings;
  std::vector<std::string> functions;  ///< names of functions, in a list
  std::vector<DType> types;
};

struct NodeDef {
  std::string name;
  std::string op;
  std::vector<std::string> inputs;  ///< "node", "node:1", "^node"; in functions "node:output:0"
  std::map<std::string, Attribute, std::less<>> attributes;
};

struct FunctionArgument {
  std::string name;
  DType dtype = DType::kUndefined;
};

struct FunctionDef {
  std::string name;
  std::vector<FunctionArgument> inputs, outputs;
  std::vector<NodeDef> nodes;
  std::map<std::string, std::string, std::less<>> results;  ///< of an output: "node:output:0"
};

struct GraphDef {
  std::vector<NodeDef> nodes;
  std::map<std::string, FunctionDef, std::less<>> functions;
};

/// An element type by its number in TensorFlow's DataType (types.proto), reference types as what
/// they refer to; kUndefined for resources, variants and unknown ones.
DType dtype_of(int64_t number);
/// The number of "DT_FLOAT" and so on; 0 where it is none.
int64_t dtype_number(std::string_view name);

/// What an input names.
struct InputName {
  std::string_view node;
  std::string_view output;  ///< in functions, the name of the operator's output
  size_t index = 0;
  bool is_control = false;
};
InputName parse_input(std::string_view text);

/// Texts of a node's attributes that name functions, where the library has one of that name.
std::vector<std::string_view> function_names(const NodeDef& node);

}  // namespace quern::tensorflow
