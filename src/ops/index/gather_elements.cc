// GatherElements: the data at each index along `axis`, and at the index's own place along the
// others.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt}};

Result<void> infer_gather_elements(InferContext& c) {
  c.set(0, c.dtype(0), c.type(1).shape);
  const Shape* data = c.shape(0);
  if (data == nullptr) return {};
  QUERN_TRY(c.axis(c.node().int_or("axis", 0), data->size()));
  QUERN_TRY(c.expect_rank(1, data->size()));
  return infer_moved_contents(c);
}

Result<Expr> gathered(ExprContext& c, size_t) {
  QUERN_ASSIGN(size_t axis, resolve_axis(c.node(), c.node().int_or("axis", 0), c.input(0).rank()));
  QUERN_ASSIGN(Expr which, c.load(1, c.indices()));
  std::vector<Expr> index = c.indices();
  index[axis] = wrap_index(c.b, which, c.dim(0, axis));
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_gather_elements;
const OpDef op_gather_elements = {
    .name = "GatherElements",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_gather_elements,
    .expr = gathered,
    .eval = eval_moved,
};

}  // namespace quern
