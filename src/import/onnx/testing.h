// Writes ONNX models for tests.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern::testing {

/// A protobuf message under construction. Calls chain: Pb().varint(1, 8).bytes(2, "x").
class Pb {
 public:
  Pb& varint(uint32_t field, int64_t value) {
    put(uint64_t{field} << 3);
    return put(static_cast<uint64_t>(value));
  }
  Pb& fixed32(uint32_t field, float value) {
    put(uint64_t{field} << 3 | 5);
    return raw(std::bit_cast<uint32_t>(value));
  }
  Pb& fixed64(uint32_t field, double value) {
    put(uint64_t{field} << 3 | 1);
    return raw(std::bit_cast<uint64_t>(value));
  }
  Pb& bytes(uint32_t field, std::string_view value) {
    put(uint64_t{field} << 3 | 2);
    put(value.size());
    data_ += value;
    return *this;
  }
  Pb& message(uint32_t field, const Pb& value) { return bytes(field, value.data_); }
  Pb& packed(uint32_t field, const std::vector<int64_t>& values) {
    Pb inner;
    for (const int64_t value : values) inner.put(static_cast<uint64_t>(value));
    return bytes(field, inner.data_);
  }
  template <class T>
  Pb& packed_fixed(uint32_t field, const std::vector<T>& values) {
    return bytes(field, {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)});
  }
  Pb& varints(uint32_t field, const std::vector<int64_t>& values) {
    for (const int64_t value : values) varint(field, value);
    return *this;
  }
  Pb& strings(uint32_t field, const std::vector<std::string>& values) {
    for (const std::string& value : values) bytes(field, value);
    return *this;
  }
  /// Other bytes, as they are.
  Pb& append(std::string_view bytes) {
    data_ += bytes;
    return *this;
  }

  [[nodiscard]] const std::string& data() const { return data_; }
  [[nodiscard]] std::span<const uint8_t> span() const {
    return {reinterpret_cast<const uint8_t*>(data_.data()), data_.size()};
  }

 private:
  Pb& put(uint64_t value) {
    for (; value >= 0x80; value >>= 7) data_ += static_cast<char>(value | 0x80);
    data_ += static_cast<char>(value);
    return *this;
  }
  template <class T>
  Pb& raw(T value) {
    data_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }

  std::string data_;
};

/// A TensorProto without data.
inline Pb tensor(std::string_view name, int dtype, const std::vector<int64_t>& dims) {
  return Pb().varints(1, dims).varint(2, dtype).bytes(8, name);
}
inline Pb f32_tensor(std::string_view name, const std::vector<int64_t>& dims,
                     const std::vector<float>& values) {
  return tensor(name, 1, dims).packed_fixed(9, values);
}

/// A TypeProto of a tensor; dims are numbers, names, or "" for unknown ones.
inline Pb tensor_type(int dtype, const std::vector<std::string>& dims) {
  Pb shape;
  for (const std::string& dim : dims) {
    Pb one;
    if (!dim.empty() && (dim[0] == '-' || (dim[0] >= '0' && dim[0] <= '9'))) {
      one.varint(1, std::stoll(dim));
    } else if (!dim.empty()) {
      one.bytes(2, dim);
    }
    shape.message(1, one);
  }
  return Pb().message(1, Pb().varint(1, dtype).message(2, shape));
}
inline Pb value_info(std::string_view name, const Pb& type) {
  return Pb().bytes(1, name).message(2, type);
}
inline Pb f32_value(std::string_view name, const std::vector<std::string>& dims = {"2"}) {
  return value_info(name, tensor_type(1, dims));
}

inline Pb node(std::string_view op, const std::vector<std::string>& inputs,
               const std::vector<std::string>& outputs, const std::vector<Pb>& attributes = {}) {
  Pb out;
  out.strings(1, inputs).strings(2, outputs).bytes(4, op);
  for (const Pb& attribute : attributes) out.message(5, attribute);
  return out;
}
/// A node called `name`, of `domain`.
inline Pb named_node(std::string_view name, std::string_view domain, const Pb& node) {
  return Pb(node).bytes(3, name).bytes(7, domain);
}

inline Pb int_attribute(std::string_view name, int64_t value) {
  return Pb().bytes(1, name).varint(20, 2).varint(3, value);
}
inline Pb float_attribute(std::string_view name, float value) {
  return Pb().bytes(1, name).varint(20, 1).fixed32(2, value);
}
inline Pb tensor_attribute(std::string_view name, const Pb& tensor) {
  return Pb().bytes(1, name).varint(20, 4).message(5, tensor);
}
inline Pb graph_attribute(std::string_view name, const Pb& graph) {
  return Pb().bytes(1, name).varint(20, 5).message(6, graph);
}
/// A reference to a function's attribute.
inline Pb ref_attribute(std::string_view name, int type, std::string_view reference) {
  return Pb().bytes(1, name).varint(20, type).bytes(21, reference);
}

/// A GraphProto. Each part is a message already under its field number.
struct GraphParts {
  std::vector<Pb> nodes, initializers, inputs, outputs, values;
};
inline Pb graph(const GraphParts& parts) {
  Pb out;
  for (const Pb& node : parts.nodes) out.message(1, node);
  out.bytes(2, "g");
  for (const Pb& tensor : parts.initializers) out.message(5, tensor);
  for (const Pb& input : parts.inputs) out.message(11, input);
  for (const Pb& output : parts.outputs) out.message(12, output);
  for (const Pb& value : parts.values) out.message(13, value);
  return out;
}
inline Pb opset(std::string_view domain, int64_t version) {
  return Pb().bytes(1, domain).varint(2, version);
}
/// A ModelProto of IR version 10 and ONNX's operator set 17.
inline Pb model(const Pb& graph) {
  return Pb().varint(1, 10).bytes(2, "test").message(8, opset("", 17)).message(7, graph);
}

/// A FunctionProto.
struct FunctionParts {
  std::string name, domain;
  std::vector<std::string> inputs, outputs, attributes;
  std::vector<Pb> nodes, defaults;
};
inline Pb function(const FunctionParts& parts) {
  Pb out;
  out.bytes(1, parts.name).bytes(10, parts.domain).message(9, opset("", 17));
  out.strings(4, parts.inputs).strings(5, parts.outputs).strings(6, parts.attributes);
  for (const Pb& node : parts.nodes) out.message(7, node);
  for (const Pb& attribute : parts.defaults) out.message(11, attribute);
  return out;
}

}  // namespace quern::testing
