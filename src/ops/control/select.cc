// quern.Select: one index of an axis, which goes away: what an iteration of a Scan sees of an
// input. The index is a host value (counted from the end where negative), so that all iterations
// share a kernel.
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt, true}};

Result<void> infer(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* data = c.shape(0);
  if (data == nullptr) return {};
  QUERN_ASSIGN(const size_t axis, c.axis(c.node().int_or("axis", 0), data->size()));
  const auto index = c.numbers(1);
  const std::optional<int64_t> extent = (*data)[axis].constant();
  if (index && extent && (index->size() != 1 || (*index)[0] < -*extent || (*index)[0] >= *extent)) {
    return c.error(cat("index ", *index, " is outside of axis ", axis, " of ", *data));
  }
  Shape result = *data;
  result.erase(result.begin() + static_cast<std::ptrdiff_t>(axis));
  c.set(0, c.dtype(0), std::move(result));
  return infer_moved_contents(c);
}

Result<Expr> selected(ExprContext& c, size_t) {
  const TensorInfo& in = c.input(0);
  QUERN_ASSIGN(const size_t axis, resolve_axis(c.node(), c.node().int_or("axis", 0), in.rank()));
  const HostTensor* index = c.host(1);
  if (index == nullptr || index->count() != 1) return c.error("its index is not known");
  const int64_t given = index->int_at(0);
  const int64_t at = given < 0 ? given + in.dims[axis] : given;
  if (at < 0 || at >= in.dims[axis]) {
    return c.error(cat("index ", given, " is outside of axis ", axis, " of ", in.dims));
  }
  const bool baked = (c.frame().host_baked >> 1 & 1) != 0 && (given >= 0 || in.is_baked(axis));
  std::vector<Expr> indices = c.indices();
  indices.insert(indices.begin() + static_cast<std::ptrdiff_t>(axis), c.derived(at, baked));
  return c.load(0, indices);
}

}  // namespace

extern const OpDef op_select;
const OpDef op_select = {
    .name = "Select",
    .domain = "quern",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .host_inputs = 1 << 1,
    .infer = infer,
    .expr = selected,
    .eval = eval_moved,
};

}  // namespace quern
