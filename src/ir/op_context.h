// What the functions of an OpDef see of a node.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/expr.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace quern {

struct OpDef;

/// Contents longer than this are not tracked symbolically nor folded as shape arithmetic.
inline constexpr int64_t kMaxContents = 4096;

/// For OpDef::infer, which is called twice: with symbolic dims when a model is loaded, and with
/// numbers for each binding of dims. Where an input's rank is unknown, give the output's type
/// and leave its shape unknown; give an error only where the node is wrong in every binding.
class InferContext {
 public:
  struct Input {
    Type type;
    bool present = false;
    const HostTensor* host = nullptr;            ///< the contents, where known as numbers
    const std::vector<Dim>* contents = nullptr;  ///< or as symbolic integers
  };

  InferContext(const Node& node, std::vector<Input> inputs);

  [[nodiscard]] const Node& node() const { return node_; }
  [[nodiscard]] int version() const { return node_.version; }
  [[nodiscard]] size_t input_count() const { return inputs_.size(); }
  [[nodiscard]] size_t output_count() const { return outputs_.size(); }
  [[nodiscard]] bool has_input(size_t i) const { return i < inputs_.size() && inputs_[i].present; }
  [[nodiscard]] const Type& type(size_t i) const { return inputs_[i].type; }
  [[nodiscard]] DType dtype(size_t i) const { return inputs_[i].type.dtype; }
  /// The shape of input i; null where it is absent or its rank is unknown.
  [[nodiscard]] const Shape* shape(size_t i) const;
  /// The contents of an integer (or bool) input as Dims, from either form; nothing where unknown
  /// or longer than kMaxContents.
  [[nodiscard]] std::optional<std::vector<Dim>> contents(size_t i) const;
  /// The same, where all are numbers.
  [[nodiscard]] std::optional<std::vector<int64_t>> numbers(size_t i) const;
  /// The contents as a host tensor (floats too), where known.
  [[nodiscard]] const HostTensor* host(size_t i) const { return inputs_[i].host; }

  void set(size_t output, DType dtype, std::optional<Shape> shape);
  void set(size_t output, Type type);
  /// Symbolic contents of an integer output; ignored when longer than kMaxContents.
  void set_contents(size_t output, std::vector<Dim> contents);
  /// A dim that nothing is known of but its bounds; the same name for the same node and output.
  [[nodiscard]] Dim fresh_dim(size_t output, size_t axis, int64_t lower = 0,
                              int64_t upper = INT32_MAX) const;

  /// An error about this node: "node 'x' (Conv): " and the message.
  [[nodiscard]] std::unexpected<Error> error(std::string_view message) const;
  /// An error unless input i has (when its rank is known) that rank.
  [[nodiscard]] Result<void> expect_rank(size_t i, size_t rank) const;
  /// An axis counted from the end where negative, checked against the rank.
  [[nodiscard]] Result<size_t> axis(int64_t axis, size_t rank) const;

  struct Output {
    Type type;
    std::optional<std::vector<Dim>> contents;
  };
  [[nodiscard]] std::vector<Output>& outputs() { return outputs_; }

 private:
  const Node& node_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
};

/// A tensor in the present binding.
struct TensorInfo {
  DType dtype = DType::kUndefined;
  Dims dims;
  /// Bit a: dims[a] is the same number in every binding, so code may bake it.
  uint32_t baked = 0;
  /// Bit a: in every binding, dims[a] is the extent of the node's first output along the axis that
  /// axis `a` broadcasts to (aligned at the last axis). Set by the planner for inputs, from
  /// symbolic equality at load; never broadcast then.
  uint32_t aligned = 0;
  bool present = false;

  [[nodiscard]] size_t rank() const { return dims.size(); }
  [[nodiscard]] bool is_baked(size_t axis) const { return axis < 32 && (baked >> axis & 1) != 0; }
  /// Are all axes from `first` on?
  [[nodiscard]] bool is_baked_from(size_t first) const {
    for (size_t axis = first; axis < rank(); ++axis) {
      if (!is_baked(axis)) return false;
    }
    return true;
  }
  [[nodiscard]] bool is_aligned(size_t axis) const {
    return axis < 32 && (aligned >> axis & 1) != 0;
  }
  [[nodiscard]] int64_t count() const {
    int64_t n = 1;
    for (int64_t d : dims) n *= d;
    return n;
  }
};

/// A node in the present binding: shapes are numbers, contents of host inputs are known.
struct OpFrame {
  const Node* node = nullptr;
  const OpDef* def = nullptr;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<const HostTensor*> host;  ///< per input; null where not known on the host
  uint64_t host_baked = 0;              ///< bit i: host[i] is the same in every binding
};

/// The common part of the contexts below.
class OpContext {
 public:
  explicit OpContext(const OpFrame& frame) : frame_(frame) {}

  [[nodiscard]] const OpFrame& frame() const { return frame_; }
  [[nodiscard]] const Node& node() const { return *frame_.node; }
  [[nodiscard]] int version() const { return frame_.node->version; }
  [[nodiscard]] size_t input_count() const { return frame_.inputs.size(); }
  [[nodiscard]] size_t output_count() const { return frame_.outputs.size(); }
  [[nodiscard]] bool has_input(size_t i) const {
    return i < frame_.inputs.size() && frame_.inputs[i].present;
  }
  [[nodiscard]] const TensorInfo& input(size_t i) const { return frame_.inputs[i]; }
  [[nodiscard]] const TensorInfo& output(size_t i) const { return frame_.outputs[i]; }
  /// The contents of input i in this binding; null where the host does not know them.
  [[nodiscard]] const HostTensor* host(size_t i) const {
    return i < frame_.host.size() ? frame_.host[i] : nullptr;
  }
  /// The integers of a host input; empty where absent or unknown.
  [[nodiscard]] std::vector<int64_t> ints(size_t i) const;
  [[nodiscard]] std::unexpected<Error> error(std::string_view message) const;

 protected:
  const OpFrame& frame_;
};

/// For OpDef::expr. `index(a)` is the output element's index along axis a; inside a fusion it may
/// be any expression, and load() may give another operator's expression in place of a load.
class ExprContext : public OpContext {
 public:
  ExprContext(const OpFrame& frame, ExprBuilder& builder) : OpContext(frame), b(builder) {}
  virtual ~ExprContext() = default;

  ExprBuilder& b;

  /// The element's index along `axis` of the output.
  [[nodiscard]] Expr index(size_t axis) const { return index_[axis]; }
  [[nodiscard]] const std::vector<Expr>& indices() const { return index_; }
  /// Input i at one i32 index an axis, which must lie inside; widened to compute_type.
  virtual Result<Expr> load(size_t input, std::span<const Expr> index) = 0;
  /// Input i at this output element by the broadcasting rule.
  Result<Expr> load_broadcast(size_t input);
  /// An extent as an i32 expression: a constant where baked, else a parameter.
  virtual Expr dim(size_t input, size_t axis) = 0;
  virtual Expr output_dim(size_t output, size_t axis) = 0;
  /// Element `i` of a host input: a constant where it is the same in every binding, else a
  /// parameter. Integers; for float host inputs use host() and parameter bits of f32.
  Expr host_int(size_t input, int64_t i, Scalar type = Scalar::kI32);
  /// A number derived from dims or host inputs in this binding: baked only where `is_baked`.
  Expr derived(int64_t value, bool is_baked, Scalar type = Scalar::kI32);
  Expr derived_float(float value, bool is_baked);
  /// Are all dims of all inputs and outputs, and all host inputs, the same in every binding?
  [[nodiscard]] bool all_baked() const;

 protected:
  std::vector<Expr> index_;
};

/// For OpDef::eval: host tensors in and out.
class EvalContext : public OpContext {
 public:
  EvalContext(const OpFrame& frame, std::span<const HostTensor* const> inputs,
              std::span<HostTensor> outputs)
      : OpContext(frame), inputs_(inputs), outputs_(outputs) {}
  [[nodiscard]] const HostTensor& in(size_t i) const { return *inputs_[i]; }
  /// Zeroed, with the type and dims of output(i); an operator whose output's dims depend on the
  /// data replaces it.
  [[nodiscard]] HostTensor& out(size_t i) { return outputs_[i]; }

 private:
  std::span<const HostTensor* const> inputs_;
  std::span<HostTensor> outputs_;
};

}  // namespace quern
