// OneHot: `on` at the index given along a new axis of extent `depth`, `off` elsewhere and for
// indices out of range.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt}};

Result<void> infer_one_hot(InferContext& c) {
  c.set(0, c.dtype(2), std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  QUERN_ASSIGN(size_t axis, c.axis(c.node().int_or("axis", -1), shape->size() + 1));
  Dim depth = c.fresh_dim(0, axis);
  if (const auto contents = c.contents(1); contents && contents->size() == 1) {
    depth = (*contents)[0];
  } else if (const HostTensor* host = c.host(1); host != nullptr && host->count() == 1) {
    depth = host->int_at(0);
  }
  if (depth.upper() < 0) return c.error("depth is negative");
  Shape result = *shape;
  result.insert(result.begin() + static_cast<ptrdiff_t>(axis), depth);
  c.set(0, c.dtype(2), std::move(result));
  return {};
}

Result<Expr> one_hot(ExprContext& c, size_t) {
  ExprBuilder& b = c.b;
  QUERN_ASSIGN(size_t axis,
               resolve_axis(c.node(), c.node().int_or("axis", -1), c.output(0).rank()));
  std::vector<Expr> index = c.indices();
  const Expr place = index[axis];
  index.erase(index.begin() + static_cast<ptrdiff_t>(axis));
  QUERN_ASSIGN(Expr hot, c.load(0, index));
  // Compared in the type of the indices, so that none wraps; a negative one counts from the end.
  const Scalar type = b.type_of(hot);
  Expr is_hot = b.eq(hot, b.cast(place, type));
  if (!is_unsigned_int(c.input(0).dtype)) {
    const Expr from_end = b.sub(place, c.output_dim(0, axis));
    is_hot = b.logical_or(is_hot, b.eq(hot, b.cast(from_end, type)));
  }
  const Expr off_at[] = {b.i32(0)};
  const Expr on_at[] = {b.i32(1)};
  QUERN_ASSIGN(Expr off, c.load(2, off_at));
  QUERN_ASSIGN(Expr on, c.load(2, on_at));
  return b.select(is_hot, on, off);
}

}  // namespace

extern const OpDef op_one_hot;
const OpDef op_one_hot = {
    .name = "OneHot",
    .since = 9,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kNumeric,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .infer = infer_one_hot,
    .expr = one_hot,
    .eval = eval_moved,
};

}  // namespace quern
