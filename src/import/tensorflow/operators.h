// The operators of TensorFlow graphs and ours: the table that translation, errors and
// docs/formats.md are made from. Semantics are those of tensorflow/core/api_def/base_api.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "import/tensorflow/call.h"

namespace quern::tensorflow {

struct Operator {
  std::string_view name;  ///< "Conv2D"
  std::string_view ours;  ///< what becomes of it, for the docs; for simple ones the operator
  void (*translate)(Call&, std::string_view ours);
  /// The names of outputs, by spaces, where there are several; functions refer to them so.
  std::string_view outputs = {};
};

std::span<const Operator> elementwise_operators();
std::span<const Operator> binary_operators();
std::span<const Operator> convolution_operators();
std::span<const Operator> image_operators();
std::span<const Operator> matrix_operators();
std::span<const Operator> norm_operators();
std::span<const Operator> reduction_operators();
std::span<const Operator> tensor_operators();
std::span<const Operator> slice_operators();
std::span<const Operator> creation_operators();
std::span<const Operator> search_operators();
std::span<const Operator> list_operators();
/// Those that the graph itself translates, by control.cc: they have no `translate`.
std::span<const Operator> control_operators();

std::vector<std::span<const Operator>> all_operators();
const Operator* find_operator(std::string_view name);

/// Which output of an operator a function's "node:output:index" means.
size_t output_index(std::string_view op, const InputName& name);

/// What the fused forms of convolutions and products add: bias, activation.
Tensor fused_epilogue(Call& c, Tensor y, size_t first_argument, bool channels_last);
Tensor activation(Call& c, std::string_view name, const Tensor& x);

}  // namespace quern::tensorflow
