// One node of a TensorFlow graph while it is translated.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "import/tensorflow/emitter.h"
#include "import/tensorflow/node.h"

namespace quern::tensorflow {

/// Reads a node's inputs and attributes. What is not there or of another kind is a failure of the
/// builder, unless the call has a fallback: translators read as formulas.
class Call {
 public:
  Call(Emitter& emitter, const NodeDef& node, std::vector<Tensor> inputs)
      : b(emitter), node_(node), inputs_(std::move(inputs)) {}

  Emitter& b;

  [[nodiscard]] const NodeDef& node() const { return node_; }
  [[nodiscard]] std::string_view op() const { return node_.op; }
  /// "node 'a/b' (Conv2D)"
  [[nodiscard]] std::string describe() const {
    return cat("node '", node_.name, "' (", node_.op, ")");
  }
  [[nodiscard]] bool failed() const { return b.failed(); }
  void unsupported(std::string_view what) { b.unsupported(std::string(what)); }
  void invalid(std::string_view what) { b.invalid(std::string(what)); }

  /// Data inputs, without control inputs.
  [[nodiscard]] size_t count() const { return inputs_.size(); }
  Tensor in(size_t i);
  [[nodiscard]] const std::vector<Tensor>& inputs() const { return inputs_; }
  /// Inputs `from` on as one list.
  std::vector<Tensor> inputs_from(size_t from, size_t end = SIZE_MAX);
  /// An input of integers that must be known: an axis, a list of sizes.
  Ints ints_in(size_t i);
  int64_t int_in(size_t i);
  /// An axis of a tensor of that rank: negative ones count from the end.
  size_t axis_in(size_t i, size_t rank);
  size_t axis(int64_t value, size_t rank);
  Ints axes(const Ints& values, size_t rank);
  /// Both of the first two inputs in one type: the larger of bool, integers, floats.
  std::pair<Tensor, Tensor> pair(size_t first = 0);

  [[nodiscard]] const Attribute* attribute(std::string_view name) const;
  [[nodiscard]] int64_t integer(std::string_view name, int64_t fallback) const;
  [[nodiscard]] double number(std::string_view name, double fallback) const;
  [[nodiscard]] bool flag(std::string_view name, bool fallback) const;
  [[nodiscard]] std::string text(std::string_view name, std::string_view fallback) const;
  [[nodiscard]] DType type(std::string_view name, DType fallback) const;
  [[nodiscard]] Ints ints(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view name) const;

  void set(const Tensor& x, size_t output = 0);
  std::vector<Tensor> outputs;

 private:
  const NodeDef& node_;
  std::vector<Tensor> inputs_;
};

}  // namespace quern::tensorflow
