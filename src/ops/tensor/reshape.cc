// Reshape: the same elements in order under another shape; -1 is what remains, 0 (unless
// allowzero) the input's extent.
#include <algorithm>

#include "ops/common/infer.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"allowzero", AttributeKind::kInt}};

/// The extent that makes the product of `known` and itself that of `input`. Equal extents cancel
/// even where they may be 0: then the shapes' other extents must agree too.
Dim remaining(Shape input, const Shape& known) {
  Dim divisor = 1;
  for (const Dim& extent : known) {
    auto same = std::ranges::find(input, extent);
    if (same != input.end()) {
      input.erase(same);
    } else {
      divisor = divisor * extent;
    }
  }
  return floor_div(element_count(input), divisor);
}

Result<void> infer_reshape(InferContext& c) {
  const Shape* input = c.shape(0);
  const std::optional<std::vector<Dim>> target = c.contents(1);
  if (!target) {
    const Shape* length = c.shape(1);
    std::optional<Shape> shape;
    if (length != nullptr && length->size() == 1 && (*length)[0].is_const() &&
        (*length)[0].value() <= kMaxContents) {
      shape = fresh_shape(c, 0, static_cast<size_t>((*length)[0].value()));
    }
    c.set(0, c.dtype(0), std::move(shape));
    return {};
  }
  const bool zero_copies = c.version() < 14 || c.node().int_or("allowzero", 0) == 0;
  Shape shape;
  Shape known;
  std::optional<size_t> inferred;
  bool unsure = input == nullptr;  // the number of elements, or of an extent that may be -1
  for (size_t a = 0; a < target->size(); ++a) {
    Dim extent = (*target)[a];
    if (extent == Dim(0) && zero_copies) {
      if (input != nullptr && a >= input->size()) {
        return c.error(cat("shape ", Shape(*target), " copies axis ", a, " of ", *input));
      }
      extent = input != nullptr ? (*input)[a] : c.fresh_dim(0, a);
    } else if (extent == Dim(-1)) {
      if (inferred) return c.error(cat("shape ", Shape(*target), " has two extents of -1"));
      inferred = a;
    } else if (extent.is_const() && extent.value() < 0) {
      return c.error(cat("shape ", Shape(*target), " has a negative extent"));
    } else if (extent.lower() < 0) {
      extent = c.fresh_dim(0, a);
      unsure = true;
    }
    if (inferred != a) known.push_back(extent);
    shape.push_back(std::move(extent));
  }
  if (inferred) shape[*inferred] = unsure ? c.fresh_dim(0, *inferred) : remaining(*input, known);
  if (input != nullptr) {
    const Dim before = element_count(*input);
    const Dim after = element_count(shape);
    if (before.is_const() && after.is_const() && before != after) {
      return c.error(cat("shape ", Shape(*target), " does not fit the elements of ", *input));
    }
  }
  c.set(0, c.dtype(0), std::move(shape));
  pass_contents(c);
  return {};
}

}  // namespace

extern const OpDef op_reshape;
const OpDef op_reshape = {
    .name = "Reshape",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .is_view = true,
    .infer = infer_reshape,
};

}  // namespace quern
