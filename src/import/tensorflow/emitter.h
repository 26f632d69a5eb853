// The builder of graphs with what TensorFlow's operators need to know of tensors: their rank,
// their extents, and the contents of small lists of integers, as far as the importer can tell.
// Extents and contents are numbers or expressions over input dims; one that is not known is a
// symbol that occurs nowhere else.
#pragma once

#include <optional>
#include <vector>

#include "import/emit/builder.h"

namespace quern::tensorflow {

using emit::Attributes;
using emit::Ints;
using emit::Size;
using emit::Tensor;

/// The rank of a tensor of which it is not known.
inline constexpr size_t kUnknownRank = SIZE_MAX;

/// What all emitters of one model share.
struct Shared {
  int unknowns = 0;
  size_t steps = 0;  ///< nodes translated, over all functions and loops
  /// What indices are by default: i64, and i32 in TensorFlow.js, which has no i64.
  DType index = DType::kI64;
};

class Emitter : public emit::Builder {
 public:
  Emitter(Graph& graph, Shared& shared) : Builder(graph), shared(shared) {}

  Shared& shared;

  /// The node that is translated from now on, for errors.
  void at(std::string where) {
    if (!failed()) where_ = std::move(where);
  }
  /// The first failure, with the node that it was at.
  Result<void> located() const;
  /// Takes over the failure of a body.
  void adopt(const Emitter& body);

  /// An extent that nothing is known of.
  Dim unknown();
  /// The extents of x, where its rank is known.
  Shape shape(const Tensor& x);
  /// x, which has this shape.
  Tensor shaped(Tensor x, Shape shape);
  /// x, of this rank where nothing was known of it: its operator takes no other.
  static Tensor of_rank(Tensor x, size_t rank) {
    if (x.rank == kUnknownRank) x.rank = rank;
    return x;
  }
  /// Sets what a list of integers holds.
  Tensor holding(Tensor x, std::vector<Dim> contents);
  /// What x holds, where that is known: of constants too.
  std::optional<std::vector<Dim>> contents(const Tensor& x);
  /// The same as numbers, if they all are.
  std::optional<Ints> known_ints(const Tensor& x);

  /// Operators with their results' shapes.
  Tensor unary(std::string_view name, const Tensor& x, Attributes attributes = {},
               std::optional<DType> dtype = {});
  /// With broadcasting, of operands of one type.
  Tensor binary(std::string_view name, const Tensor& x, const Tensor& y,
                std::optional<DType> dtype = {});
  Tensor where(const Tensor& condition, const Tensor& x, const Tensor& y);
  Tensor cast(const Tensor& x, DType dtype);
  Tensor permute(const Tensor& x, Ints perm);
  Tensor unsqueeze(const Tensor& x, Ints axes);  ///< axes of the result, ascending
  Tensor squeeze(const Tensor& x, Ints axes);
  Tensor reduce(std::string_view name, const Tensor& x, Ints axes, bool keep);
  Tensor concat(std::vector<Tensor> parts, size_t axis);
  /// x in the shape that an integer list holds.
  Tensor reshape_to(const Tensor& x, const Tensor& list);
  Tensor reshape_ints(const Tensor& x, const Ints& sizes);
  /// The dims of x as an i64 list, with their contents.
  Tensor dims_of(const Tensor& x);
  /// A list of x[index] for constant indices, ONNX's Gather on axis 0.
  Tensor pick(const Tensor& list, const Ints& indices);
  Tensor as_i64(const Tensor& x) { return cast(x, DType::kI64); }
  /// A list of tensors, whose elements have this type and, where known, shape.
  Tensor list_of(Tensor x, DType dtype, std::optional<Shape> element);
  std::optional<Shape> element_of(const Tensor& list);
  /// A number of rank 0 like x, in its type.
  Tensor number_like(const Tensor& x, double value) { return scalar(x.dtype, value); }

 private:
  std::string where_;
};

}  // namespace quern::tensorflow
