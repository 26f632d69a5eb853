// Expand: broadcast to a shape, which broadcasts too.
#include <algorithm>

#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer_expand(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* shape = c.shape(0);
  const Shape* length = c.shape(1);
  const std::optional<std::vector<Dim>> target = c.contents(1);
  if (shape == nullptr) return {};
  if (!target) {
    if (length != nullptr && length->size() == 1 && (*length)[0].is_const() &&
        (*length)[0].value() <= kMaxContents) {
      const auto rank = static_cast<size_t>((*length)[0].value());
      c.set(0, c.dtype(0), fresh_shape(c, 0, std::max(rank, shape->size())));
    }
    return {};
  }
  Shape to;
  for (size_t a = 0; a < target->size(); ++a) {
    const Dim& extent = (*target)[a];
    if (extent.is_const() && extent.value() < 0) {
      return c.error(cat("shape ", Shape(*target), " has a negative extent"));
    }
    to.push_back(extent.lower() < 0 ? c.fresh_dim(0, a) : extent);
  }
  Result<Shape> result = broadcast_shapes(*shape, to);
  if (!result) return c.error(std::move(result).error().message);
  c.set(0, c.dtype(0), *std::move(result));
  return infer_moved_contents(c);
}

}  // namespace

extern const OpDef op_expand;
const OpDef op_expand = {
    .name = "Expand",
    .since = 8,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .host_inputs = 1 << 1,
    .infer = infer_expand,
    .expr = [](ExprContext& c, size_t) { return c.load_broadcast(0); },
    .eval = eval_moved,
};

}  // namespace quern
