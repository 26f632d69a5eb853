// Gather: slices of axis `axis` of the data at the indices, whose axes take that axis's place.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt}};

Result<void> infer_gather(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* data = c.shape(0);
  const Shape* indices = c.shape(1);
  if (data == nullptr) return {};
  QUERN_ASSIGN(size_t axis, c.axis(c.node().int_or("axis", 0), data->size()));
  if (indices == nullptr) return {};
  Shape result = *data;
  const auto at = result.erase(result.begin() + static_cast<ptrdiff_t>(axis));
  result.insert(at, indices->begin(), indices->end());
  c.set(0, c.dtype(0), std::move(result));
  return infer_moved_contents(c);
}

Result<Expr> gathered(ExprContext& c, size_t) {
  const size_t rank = c.input(0).rank();
  QUERN_ASSIGN(size_t axis, resolve_axis(c.node(), c.node().int_or("axis", 0), rank));
  const std::vector<Expr>& out = c.indices();
  const size_t inner = c.input(1).rank();
  QUERN_ASSIGN(Expr which, c.load(1, std::span(out).subspan(axis, inner)));
  std::vector<Expr> index;
  for (size_t a = 0; a < rank; ++a) {
    if (a == axis) {
      index.push_back(wrap_index(c.b, which, c.dim(0, a)));
    } else {
      index.push_back(out[a < axis ? a : a + inner - 1]);
    }
  }
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_gather;
const OpDef op_gather = {
    .name = "Gather",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_gather,
    .expr = gathered,
    .eval = eval_moved,
};

}  // namespace quern
