// TFLite's operators and ours: the table that translation, errors and docs/formats.md are made
// from.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "import/tflite/call.h"

namespace quern::tflite {

struct Operator {
  int code;               ///< BuiltinOperator; kCustom for custom ones
  std::string_view name;  ///< "CONV_2D"; of custom ones their custom_code
  std::string_view ours;  ///< what becomes of it, for the docs; for simple ones the operator
  void (*translate)(Call&, std::string_view ours);
};

std::span<const Operator> elementwise_operators();
std::span<const Operator> conv_operators();
std::span<const Operator> matrix_operators();
std::span<const Operator> shape_operators();
std::span<const Operator> index_operators();
std::span<const Operator> reduce_operators();
std::span<const Operator> recurrent_operators();
std::span<const Operator> signal_operators();
std::span<const Operator> control_operators();
std::span<const Operator> custom_operators();

/// All of these.
std::vector<std::span<const Operator>> all_operators();
const Operator* find_operator(const OperatorCode& code);
/// How errors name it: "CONV_2D", "custom operator 'X'".
std::string name_of(const OperatorCode& code);

/// What several groups share.
Tensor atan2_of(Builder& b, const Tensor& y, const Tensor& x);
/// The transposed convolution of input `x_at` by input 1, turned by `perm`; `wanted` are the
/// spatial dims of the result where known.
void conv_transpose(Call& c, size_t x_at, const Ints& perm, size_t bias_at,
                    const std::vector<std::optional<int64_t>>& wanted, bool is_same,
                    const Ints& strides, const Ints& dilations, int activation);

/// The operators of a subgraph in the place of one: gives its outputs. Used by those of control.
std::vector<Tensor> translate_subgraph(Call& call, Builder& builder, int32_t index,
                                       const std::vector<Tensor>& inputs);

}  // namespace quern::tflite
