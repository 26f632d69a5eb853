// The operators of torch.export graphs and ours: the table that translation, errors and
// docs/formats.md are made from.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "import/torch/call.h"

namespace quern::torch {

/// One operator of ATen, all of its overloads that take the same arguments.
struct Operator {
  std::string_view name;       ///< "aten.add", "_operator.add"
  std::string_view overloads;  ///< "Tensor Scalar", by spaces
  std::string_view ours;       ///< what becomes of it, for the docs; for simple ones the operator
  void (*translate)(Call&, std::string_view ours);
};

std::span<const Operator> elementwise_operators();
std::span<const Operator> binary_operators();
std::span<const Operator> view_operators();
std::span<const Operator> tensor_operators();
std::span<const Operator> creation_operators();
std::span<const Operator> index_operators();
std::span<const Operator> matrix_operators();
std::span<const Operator> conv_operators();
std::span<const Operator> image_operators();
std::span<const Operator> norm_operators();
std::span<const Operator> reduce_operators();
std::span<const Operator> recurrent_operators();
std::span<const Operator> size_operators();

/// All of these.
std::vector<std::span<const Operator>> all_operators();

/// What translates "aten.add_.Tensor", and whether it changes `self` in place.
struct Found {
  const Operator* op = nullptr;
  bool in_place = false;
};
Found find_operator(std::string_view target);

/// What PyTorch's softmax and attention share.
Tensor softmax(Builder& b, const Tensor& x, size_t axis);
/// Joins `self` and one of its views: parts of an axis (Slice), elements of one (select).
View slice_view(Builder& b, size_t axis, Size start, Size end, int64_t step);
View select_view(Builder& b, size_t axis, Size index);

}  // namespace quern::torch
