#include "ops/common/infer.h"

#include <algorithm>

namespace quern {
namespace {

/// Symbols of unknown elements are numbered past those of dims.
constexpr size_t kElementSymbols = 64;
/// More elements than this with an unknown one among them aren't tracked.
constexpr size_t kMaxUnknown = 64;

/// Can elements of `type` hold all values of `dim`? For the wide types shape arithmetic is taken
/// not to overflow unless it's certain to.
bool fits(DType type, const Dim& dim) {
  if (type == DType::kI64) return true;
  int64_t lower = 0;
  int64_t upper = 1;
  if (type != DType::kBool) {
    const int bits = bit_width(type);
    if (is_signed_int(type)) {
      upper = (int64_t{1} << (bits - 1)) - 1;
      lower = -upper - 1;
    } else if (is_unsigned_int(type)) {
      upper = bits == 64 ? INT64_MAX : (int64_t{1} << bits) - 1;
    } else {
      return false;
    }
    if (bits >= 32 && !dim.is_const()) upper = INT64_MAX;
    if (type == DType::kI32 && !dim.is_const()) lower = INT64_MIN;
  }
  return dim.lower() >= lower && dim.upper() <= upper;
}

/// The output's extents and count, where tracking contents is worthwhile.
std::optional<Dims> small_dims(const std::optional<Shape>& shape) {
  if (!shape) return std::nullopt;
  std::optional<Dims> dims = constant_dims(*shape);
  if (!dims) return std::nullopt;
  Result<int64_t> count = element_count(*dims);
  if (!count || *count > kMaxContents) return std::nullopt;
  return dims;
}

Result<void> infer_elementwise(InferContext& c, DType dtype, DimFn f) {
  for (size_t i = 1; i < c.input_count(); ++i) QUERN_TRY(expect_same_type(c, 0, i));
  QUERN_ASSIGN(std::optional<Shape> shape, broadcast_inputs(c));
  c.set(0, dtype, std::move(shape));
  if (f != nullptr) set_broadcast_contents(c, f);
  return {};
}

/// IntList from the node; `known` is left to the input's reader.
bool list_from_attribute(const Node& node, std::string_view attribute, int input_since,
                         IntList& list) {
  if (node.version >= input_since) return false;
  if (const std::vector<int64_t>* values = node.ints(attribute)) {
    list = {.present = true, .known = true, .values = *values};
  }
  return true;
}

}  // namespace

Result<void> infer_same(InferContext& c) {
  c.set(0, c.type(0));
  return {};
}

Result<void> infer_same(InferContext& c, DimFn f) {
  c.set(0, c.type(0));
  set_broadcast_contents(c, f);
  return {};
}

Result<void> infer_broadcast(InferContext& c, DimFn f) {
  return infer_elementwise(c, c.dtype(0), f);
}

Result<void> infer_compare(InferContext& c, DimFn f) {
  return infer_elementwise(c, DType::kBool, f);
}

Result<std::optional<Shape>> broadcast_inputs(InferContext& c, size_t first) {
  std::optional<Shape> result = Shape{};
  for (size_t i = first; i < c.input_count(); ++i) {
    if (!c.has_input(i)) continue;
    const Shape* shape = c.shape(i);
    if (shape == nullptr) {
      result.reset();
    } else if (result) {
      Result<Shape> both = broadcast_shapes(*result, *shape);
      if (!both) return c.error(std::move(both).error().message);
      result = *std::move(both);
    }
  }
  return result;
}

Result<void> expect_same_type(const InferContext& c, size_t a, size_t b) {
  if (!c.has_input(a) || !c.has_input(b)) return {};
  const DType x = c.dtype(a);
  const DType y = c.dtype(b);
  if (x == y || x == DType::kUndefined || y == DType::kUndefined) return {};
  return c.error(cat("inputs ", a, " and ", b, " have types ", name_of(x), " and ", name_of(y),
                     ", which must be equal"));
}

std::optional<Dim> proven_below(const Dim& a, const Dim& b) {
  if (std::optional<bool> below = proven_less(a, b)) return Dim(*below);
  return std::nullopt;
}

void set_broadcast_contents(InferContext& c, DimFn f) {
  const Type& type = c.outputs()[0].type;
  if (!is_integer(type.dtype) && type.dtype != DType::kBool) return;
  const std::optional<Dims> dims = small_dims(type.shape);
  if (!dims) return;
  const int64_t count = element_count(*dims).value_or(0);
  if (count == 0) {
    c.set_contents(0, {});
    return;
  }

  struct Operand {
    std::vector<Dim> contents;
    Dims strides;  // by the output's axes
  };
  std::vector<Operand> operands;
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has_input(i)) continue;
    std::optional<std::vector<Dim>> contents = c.contents(i);
    const Shape* shape = c.shape(i);
    if (!contents || shape == nullptr || shape->size() > dims->size()) return;
    Operand operand{*std::move(contents), Dims(dims->size(), 0)};
    int64_t stride = 1;
    for (size_t a = shape->size(); a-- > 0;) {
      const int64_t extent = (*shape)[a].value();
      if (extent != 1) operand.strides[a + dims->size() - shape->size()] = stride;
      stride *= extent;
    }
    if (stride != static_cast<int64_t>(operand.contents.size())) return;
    operands.push_back(std::move(operand));
  }

  std::vector<std::optional<Dim>> result;
  std::vector<Dim> arguments(operands.size());
  for (int64_t i = 0; i < count; ++i) {
    for (size_t k = 0; k < operands.size(); ++k) {
      int64_t rest = i;
      int64_t at = 0;
      for (size_t a = dims->size(); a-- > 0;) {
        at += rest % (*dims)[a] * operands[k].strides[a];
        rest /= (*dims)[a];
      }
      arguments[k] = operands[k].contents[static_cast<size_t>(at)];
    }
    result.push_back(f(arguments));
  }
  set_checked_contents(c, 0, result);
}

void set_checked_contents(InferContext& c, size_t output,
                          const std::vector<std::optional<Dim>>& contents) {
  const DType type = c.outputs()[output].type.dtype;
  std::vector<Dim> known;
  known.reserve(contents.size());
  for (size_t i = 0; i < contents.size(); ++i) {
    if (contents[i]) {
      if (!fits(type, *contents[i])) return;
      known.push_back(*contents[i]);
    } else if (type == DType::kBool && contents.size() <= kMaxUnknown) {
      known.push_back(c.fresh_dim(output, kElementSymbols + i, 0, 1));
    } else if (bit_width(type) >= 32 && contents.size() <= kMaxUnknown) {
      known.push_back(
          c.fresh_dim(output, kElementSymbols + i, is_signed_int(type) ? INT64_MIN : 0, INT64_MAX));
    } else {
      return;
    }
  }
  c.set_contents(output, std::move(known));
}

void pass_contents(InferContext& c) {
  if (std::optional<std::vector<Dim>> contents = c.contents(0)) {
    c.set_contents(0, *std::move(contents));
  }
}

IntList int_list(const InferContext& c, std::string_view attribute, size_t input, int input_since) {
  IntList list;
  if (list_from_attribute(c.node(), attribute, input_since, list) || !c.has_input(input)) {
    return list;
  }
  list.present = true;
  if (std::optional<std::vector<int64_t>> values = c.numbers(input)) {
    list.known = true;
    list.values = *std::move(values);
  }
  return list;
}

IntList int_list(const OpContext& c, std::string_view attribute, size_t input, int input_since) {
  IntList list;
  if (list_from_attribute(c.node(), attribute, input_since, list) || !c.has_input(input)) {
    return list;
  }
  list.present = true;
  list.known = c.host(input) != nullptr;
  if (list.known) list.values = c.ints(input);
  return list;
}

Result<size_t> resolve_axis(const Node& node, int64_t axis, size_t rank) {
  const auto signed_rank = static_cast<int64_t>(rank);
  if (axis < -signed_rank || axis >= signed_rank) {
    return invalid_model(cat(node.describe(), ": axis ", axis, " is not in [", -signed_rank, ", ",
                             signed_rank - 1, "]"));
  }
  return static_cast<size_t>(axis < 0 ? axis + signed_rank : axis);
}

Result<std::vector<size_t>> resolve_axes(const Node& node, std::span<const int64_t> axes,
                                         size_t rank) {
  std::vector<size_t> result;
  for (int64_t axis : axes) {
    QUERN_ASSIGN(size_t a, resolve_axis(node, axis, rank));
    if (std::ranges::find(result, a) != result.end()) {
      return invalid_model(cat(node.describe(), ": axis ", axis, " is given twice"));
    }
    result.push_back(a);
  }
  return result;
}

Shape fresh_shape(const InferContext& c, size_t output, size_t rank) {
  Shape shape;
  for (size_t a = 0; a < rank; ++a) shape.push_back(c.fresh_dim(output, a));
  return shape;
}

}  // namespace quern
