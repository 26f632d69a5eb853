// Emits our nodes for a graph of another format: tensors with their type and rank, and the steps
// that many operators share.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"

namespace quern::emit {

/// The operator set that is emitted.
inline constexpr int kOpset = 23;

/// A value with what is known of it. A tensor without value is an absent optional input.
struct Tensor {
  Value* value = nullptr;
  DType dtype = DType::kUndefined;
  size_t rank = 0;

  explicit operator bool() const { return value != nullptr; }
  /// The extent of an axis where it is known, as a number or an expression.
  [[nodiscard]] std::optional<Dim> dim(size_t axis) const {
    if (value == nullptr || !value->type.shape || axis >= value->type.shape->size()) return {};
    return (*value->type.shape)[axis];
  }
  [[nodiscard]] std::optional<int64_t> extent(size_t axis) const {
    const auto known = dim(axis);
    return known ? known->constant() : std::nullopt;
  }
};

/// An integer that a size may be: a number, or the i64 list of one element that holds it.
struct Size {
  int64_t number = 0;
  Value* value = nullptr;

  [[nodiscard]] bool is(int64_t n) const { return value == nullptr && number == n; }
};

using Attributes = std::initializer_list<std::pair<std::string_view, AttributeValue>>;
using Ints = std::vector<int64_t>;

/// Adds nodes to a graph. The first failure is kept, and everything after it does nothing useful
/// but no harm: translators read as formulas, and whoever calls them asks status() at the end.
class Builder {
 public:
  explicit Builder(Graph& graph) : graph_(graph) {}

  [[nodiscard]] Graph& graph() { return graph_; }
  [[nodiscard]] bool failed() const { return error_.has_value(); }
  [[nodiscard]] Result<void> status() const;
  void fail(ErrorCode code, std::string message);
  void unsupported(std::string message) { fail(ErrorCode::kUnsupported, std::move(message)); }
  void invalid(std::string message) { fail(ErrorCode::kInvalidModel, std::move(message)); }
  /// What names of nodes begin with, from now on.
  void set_scope(std::string name) { scope_ = std::move(name); }

  /// A node of one output. By default it has the first input's type and the largest rank.
  Tensor op(std::string_view name, std::initializer_list<Tensor> inputs, Attributes attributes = {},
            std::optional<DType> dtype = {}, std::optional<size_t> rank = {});
  /// The same for any number of inputs and outputs.
  std::vector<Tensor> ops(std::string_view name, const std::vector<Tensor>& inputs, size_t outputs,
                          Attributes attributes, DType dtype, size_t rank);
  Tensor constant(HostTensor tensor);
  /// A constant whose bytes stay in their file: its place there is added to `table`.
  Tensor weight(WeightInfo info, std::vector<WeightInfo>& table, std::string name = {});
  /// A list of integers, i64.
  Tensor ints(const Ints& values);
  /// A number, rank 0.
  Tensor scalar(DType dtype, double value);
  Tensor integer(int64_t value, DType dtype = DType::kI64);

  Tensor cast(const Tensor& x, DType dtype);
  Tensor reshape(const Tensor& x, const std::vector<Size>& sizes);
  Tensor reshape(const Tensor& x, const Ints& sizes);  ///< -1: what is left over; 0 stays 0
  Tensor reshape_like(const Tensor& x, const Tensor& like);
  Tensor permute(const Tensor& x, Ints perm);
  Tensor swap(const Tensor& x, size_t a, size_t b);
  Tensor unsqueeze(const Tensor& x, const Ints& axes);  ///< axes of the result
  Tensor squeeze(const Tensor& x, const Ints& axes);
  Tensor slice(const Tensor& x, size_t axis, Size start, Size end, int64_t step = 1);
  /// Element `index` of an axis, which goes away.
  Tensor select(const Tensor& x, size_t axis, Size index);
  Tensor expand(const Tensor& x, const std::vector<Size>& sizes);
  Tensor expand_like(const Tensor& x, const Tensor& like);
  Tensor concat(const std::vector<Tensor>& parts, size_t axis);
  Tensor reduce(std::string_view name, const Tensor& x, const Ints& axes, bool keep);
  Tensor full(const std::vector<Size>& sizes, const Tensor& value);
  /// The dims of x, an i64 list.
  Tensor shape_of(const Tensor& x);
  /// Numbers 0 to n - 1, i64.
  Tensor range(const Size& n);

  /// The extent of an axis: a number where known.
  Size size(const Tensor& x, size_t axis);
  std::vector<Size> sizes(const Tensor& x);
  Size number(int64_t value) { return {.number = value}; }
  /// A size as an i64 list of one, and as a number of rank 0.
  Tensor list(const Size& size);
  Tensor scalar_of(const Size& size, DType dtype = DType::kI64);
  Tensor list(const std::vector<Size>& sizes);
  /// Of sizes.
  Size arithmetic(std::string_view name, const Size& a, const Size& b);

  /// x + y and so on with both cast to `dtype`.
  Tensor binary(std::string_view name, const Tensor& x, const Tensor& y, DType dtype);

 private:
  Graph& graph_;
  std::optional<Error> error_;
  std::string scope_;
  size_t count_ = 0;
};

/// The type of a float computation on x: x's own, f32 for integers.
DType float_type(DType dtype);
/// The identity of min (true) and max (false) for a type.
double extreme(DType dtype, bool largest);

}  // namespace quern::emit
