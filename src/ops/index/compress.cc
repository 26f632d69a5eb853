// Compress: the slices of an axis (without one, the elements in row-major order) where a condition
// is true; the condition may be shorter than the axis.
#include "ops/common/compact.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  QUERN_TRY(c.expect_rank(1, 1));
  if (c.dtype(1) != DType::kBool && c.dtype(1) != DType::kUndefined) {
    return c.error(cat("condition has type ", name_of(c.dtype(1)), ", expected bool"));
  }
  const Shape* shape = c.shape(0);
  const bool flat = c.node().attribute("axis") == nullptr;
  const int64_t longest =
      c.shape(1) == nullptr ? INT32_MAX : std::max<int64_t>((*c.shape(1))[0].upper(), 0);
  if (flat) {
    c.set(0, c.dtype(0), Shape{c.fresh_dim(0, 0, 0, longest)});
    return {};
  }
  if (shape == nullptr) return {};
  QUERN_ASSIGN(const size_t axis, c.axis(c.node().int_or("axis", 0), shape->size()));
  Shape result = *shape;
  result[axis] = c.fresh_dim(0, axis, 0, longest);
  c.set(0, c.dtype(0), std::move(result));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  Value* x = node.input(0);
  int64_t axis = node.int_or("axis", 0);
  if (node.attribute("axis") == nullptr) {
    x = e.add_in("", kCompactVersion, "Reshape", {x, e.ints({-1})});
    axis = 0;
  }
  Value* places = add_nonzero_places(graph, node, node.input(1));
  e.replace(0, e.add_in("", kCompactVersion, "Gather", {x, places}, {{"axis", axis}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_compress;
const OpDef op_compress = {
    .name = "Compress",
    .since = 9,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
