// Shape inference that many operators share.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// An element of an output's symbolic contents from those of the broadcast inputs; nothing where
/// it can't be said.
using DimFn = std::optional<Dim> (*)(std::span<const Dim>);

/// Output 0 has the type and shape of input 0.
Result<void> infer_same(InferContext& c);
/// Likewise, and its contents are `f` of the input's.
Result<void> infer_same(InferContext& c, DimFn f);
/// Output 0 has the element type of input 0 and the broadcast shape of all inputs, which must
/// agree in type. Contents by `f`, where given.
Result<void> infer_broadcast(InferContext& c, DimFn f = nullptr);
/// The same with bool as the output's type.
Result<void> infer_compare(InferContext& c, DimFn f = nullptr);

/// The broadcast of the shapes of inputs `first` and on; nothing where a rank is unknown.
Result<std::optional<Shape>> broadcast_inputs(InferContext& c, size_t first = 0);
/// An error unless these two inputs have one element type.
Result<void> expect_same_type(const InferContext& c, size_t a, size_t b);

/// 1 or 0 where a < b is proven or disproven (contents of a bool tensor).
std::optional<Dim> proven_below(const Dim& a, const Dim& b);

/// Sets the contents of output 0, whose type is set, from those of all inputs, broadcast.
void set_broadcast_contents(InferContext& c, DimFn f);
/// Sets the contents of an output, unless one does not fit its element type. An element that is
/// nothing becomes a fresh symbol.
void set_checked_contents(InferContext& c, size_t output,
                          const std::vector<std::optional<Dim>>& contents);
/// Output 0 has the contents of input 0 in the same order (Reshape, Squeeze).
void pass_contents(InferContext& c);

/// A list of integers that older operator sets give as an attribute and newer ones as an input.
struct IntList {
  bool present = false;
  bool known = false;  ///< `values` is set
  std::vector<int64_t> values;
};
/// The attribute before operator set `input_since`, else input `input`.
IntList int_list(const InferContext& c, std::string_view attribute, size_t input, int input_since);
IntList int_list(const OpContext& c, std::string_view attribute, size_t input, int input_since);

/// Axes counted from the front; an error where one is out of range or twice there.
Result<std::vector<size_t>> resolve_axes(const Node& node, std::span<const int64_t> axes,
                                         size_t rank);
/// An axis counted from the front, checked against the rank.
Result<size_t> resolve_axis(const Node& node, int64_t axis, size_t rank);

/// A shape of `rank` dims of which nothing is known.
Shape fresh_shape(const InferContext& c, size_t output, size_t rank);

}  // namespace quern
