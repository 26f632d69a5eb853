// Tile: repeated along each axis.
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer_tile(InferContext& c) {
  const Shape* shape = c.shape(0);
  c.set(0, c.dtype(0), std::nullopt);
  if (shape == nullptr) return {};
  const std::optional<std::vector<Dim>> repeats = c.contents(1);
  if (!repeats) {
    c.set(0, c.dtype(0), fresh_shape(c, 0, shape->size()));
    return {};
  }
  if (repeats->size() != shape->size()) {
    return c.error(cat("repeats ", Shape(*repeats), " are not one an axis of ", *shape));
  }
  Shape result;
  for (size_t a = 0; a < shape->size(); ++a) {
    const Dim& times = (*repeats)[a];
    if (times.is_const() && times.value() < 0) return c.error("repeats are negative");
    result.push_back(times.lower() < 0 ? c.fresh_dim(0, a) : (*shape)[a] * times);
  }
  c.set(0, c.dtype(0), std::move(result));
  return infer_moved_contents(c);
}

Result<Expr> tiled(ExprContext& c, size_t) {
  const TensorInfo& in = c.input(0);
  const TensorInfo& out = c.output(0);
  std::vector<Expr> index;
  for (size_t a = 0; a < in.rank(); ++a) {
    const bool once = in.is_baked(a) && out.is_baked(a) && in.dims[a] == out.dims[a];
    index.push_back(once ? c.index(a) : c.b.binary(ExprOp::kRem, c.index(a), c.dim(0, a)));
  }
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_tile;
const OpDef op_tile = {
    .name = "Tile",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .host_inputs = 1 << 1,
    .infer = infer_tile,
    .expr = tiled,
    .eval = eval_moved,
};

}  // namespace quern
