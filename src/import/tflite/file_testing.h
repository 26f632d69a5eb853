// Writes TFLite files for tests, and runs them.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ir/graph.h"

namespace quern::testing {

/// A FlatBuffer under construction, parents before what they lead to.
class FlatWriter {
 public:
  /// Writes something, and gives its place.
  using Child = std::function<size_t(FlatWriter&)>;
  /// A field's number, and its bytes or what its offset leads to.
  struct Field {
    unsigned id = 0;
    std::variant<std::string, Child> value;
  };

  static Field byte(unsigned id, int value);
  static Field word(unsigned id, int32_t value);
  static Field wide(unsigned id, uint64_t value);
  static Field real(unsigned id, float value);
  static Field text(unsigned id, std::string value);
  static Field ints(unsigned id, std::vector<int32_t> values);
  static Field longs(unsigned id, std::vector<int64_t> values);
  static Field reals(unsigned id, std::vector<float> values);
  static Field bytes(unsigned id, std::string value);
  static Field table(unsigned id, std::vector<Field> fields);
  static Field tables(unsigned id, std::vector<std::vector<Field>> tables);

  /// The file: a root table with the identifier "TFL3".
  static std::vector<uint8_t> file(std::vector<Field> root);

 private:
  size_t add_table(const std::vector<Field>& fields);
  size_t add_vector(uint32_t count, std::string_view raw);
  void put(size_t at, uint32_t value);
  size_t place();

  std::vector<uint8_t> out_;
};

/// A model under construction. Types as "f32[1, 4]"; tensors are known by their index.
class Lite {
 public:
  using Field = FlatWriter::Field;

  /// Scales and zero points of the tensor that comes next.
  Lite& quantized(std::vector<float> scale, std::vector<int64_t> zero, int axis = 0);
  int input(std::string name, std::string_view type);
  int constant(std::string_view type, std::vector<double> values);
  /// A constant whose bytes lie outside of the flatbuffer.
  int outside(std::string_view type, std::vector<double> values);
  /// SparsityParameters of the tensor that comes next.
  Lite& sparse(std::vector<Field> fields);
  /// Of fewer values than the type has.
  int constant_bytes(std::string_view type, std::vector<float> values);
  int variable(std::string name, std::string_view type);
  int tensor(std::string name, std::string_view type);
  /// An operator of one result; -1 among the inputs is an absent one.
  int op(int code, std::vector<int> inputs, std::string_view type, std::vector<Field> options = {});
  std::vector<int> ops(int code, std::vector<int> inputs, std::vector<std::string> types,
                       std::vector<Field> options = {});
  std::vector<int> custom(std::string name, int version, std::vector<int> inputs,
                          std::vector<std::string> types, std::string options);
  Lite& output(int tensor);
  /// What follows goes to another subgraph.
  Lite& subgraph();
  Lite& signature(std::string key, std::vector<std::pair<std::string, int>> inputs,
                  std::vector<std::pair<std::string, int>> outputs);

  [[nodiscard]] std::vector<uint8_t> file() const;
  /// The outputs, as run_file gives them. Broken forms of the file are imported before: nothing
  /// worse than an error may come of it.
  [[nodiscard]] std::string run(std::vector<std::vector<double>> inputs,
                                std::vector<Dims> dims = {}) const;
  /// The graph as text, or the error.
  [[nodiscard]] std::string imported() const;

 private:
  struct Subgraph {
    std::vector<std::vector<Field>> tensors, operators;
    std::vector<int32_t> inputs, outputs;
  };
  int add_tensor(std::string name, std::string_view type, uint32_t buffer, bool is_variable);
  uint32_t code(int builtin, const std::string& custom, int version);

  std::vector<Subgraph> subgraphs_ = {{}};
  std::vector<std::string> buffers_ = {""};
  std::vector<bool> outside_ = {false};
  std::vector<std::tuple<int, std::string, int>> codes_;
  std::vector<std::vector<Field>> signatures_;
  std::vector<Field> quantization_, sparsity_;
};

}  // namespace quern::testing
