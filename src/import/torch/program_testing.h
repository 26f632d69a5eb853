// Writes torch.export archives for tests, and runs them.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "import/json/json.h"
#include "ir/graph.h"

namespace quern::testing {

/// A tensor's type in a test: "f32[2, 3]", "i64[]", "bool[s0, 4]" with a symbol.
struct Ty {
  const char* text;
};

/// An argument of a node.
struct Arg {
  std::string name;
  Json value;

  static Arg tensor(std::string name, std::string of);
  static Arg tensors(std::string name, std::vector<std::string> of);
  /// An empty name is None.
  static Arg optional_tensors(std::string name, std::vector<std::string> of);
  static Arg integer(std::string name, int64_t value);
  static Arg number(std::string name, double value);
  static Arg flag(std::string name, bool value);
  static Arg text(std::string name, std::string value);
  static Arg ints(std::string name, std::vector<int64_t> values);
  static Arg sym(std::string name, std::string symbol);
  /// Numbers, or names of symbols.
  static Arg sym_ints(std::string name, const std::vector<std::string>& values);
  static Arg dtype(std::string name, int number);
  static Arg none(std::string name);
};

/// An exported program under construction.
class Program {
 public:
  Program& input(std::string name, Ty type);
  /// A parameter with these values in row-major order of its storage; strides in elements.
  Program& weight(const std::string& name, Ty type, const std::vector<float>& storage,
                  std::vector<int64_t> strides = {}, int64_t offset = 0);
  /// A buffer, f32.
  Program& buffer(const std::string& name, Ty type, const std::vector<float>& storage);
  /// A node "aten.NAME" (or another target with a dot in front of it) of one output.
  Program& node(std::string target, std::vector<Arg> arguments, std::string output, Ty type);
  /// Of several.
  Program& nodes(std::string target, std::vector<Arg> arguments,
                 std::vector<std::pair<std::string, Ty>> outputs);
  Program& size_node(std::string target, std::vector<Arg> arguments, std::string output);
  Program& output(std::string name);
  Program& bounds(const std::string& symbol, int64_t lower, int64_t upper);

  /// The program without its weights.
  [[nodiscard]] std::string json() const;
  [[nodiscard]] std::vector<uint8_t> archive() const;
  /// The graph as text, or the error.
  [[nodiscard]] std::string imported() const;
  /// The outputs as text, "f32[2] 1 2", joined by "; ", or the error. Inputs as they were declared;
  /// symbols take the values given by `dims`.
  [[nodiscard]] std::string run(const std::vector<std::vector<double>>& inputs,
                                const std::vector<Dims>& dims = {}) const;

 private:
  void stored(const std::string& kind, const std::string& name, Ty type,
              const std::vector<float>& storage, std::vector<int64_t> strides, int64_t offset);
  Json meta(Ty type, std::vector<int64_t> strides = {}, int64_t offset = 0);
  void add_value(const std::string& name, Ty type);

  Json nodes_ = Json::array();
  Json values_ = Json::object();
  Json input_specs_ = Json::array();
  Json output_specs_ = Json::array();
  Json weights_ = Json::object();
  Json ranges_ = Json::object();
  std::vector<std::pair<std::string, std::string>> entries_;
};

}  // namespace quern::testing
