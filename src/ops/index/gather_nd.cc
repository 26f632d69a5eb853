// GatherND: the last axis of the indices holds indices into the data's axes after the batch_dims
// that both share.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"batch_dims", AttributeKind::kInt}};

Result<void> infer_gather_nd(InferContext& c) {
  c.set(0, c.dtype(0), std::nullopt);
  const Shape* data = c.shape(0);
  const Shape* indices = c.shape(1);
  if (data == nullptr || indices == nullptr) return {};
  const int64_t batch = c.node().int_or("batch_dims", 0);
  if (indices->empty() || batch < 0 || batch >= std::ssize(*indices)) {
    return c.error(cat("batch_dims is ", batch, " for indices of shape ", *indices));
  }
  const Dim& depth = indices->back();
  if (!depth.is_const()) return {};
  if (depth.value() < 0 || batch + depth.value() > std::ssize(*data)) {
    return c.error(cat("indices of shape ", *indices, " do not fit data of shape ", *data));
  }
  Shape result(indices->begin(), indices->end() - 1);
  result.insert(result.end(), data->begin() + batch + depth.value(), data->end());
  c.set(0, c.dtype(0), std::move(result));
  return infer_moved_contents(c);
}

Result<Expr> gathered(ExprContext& c, size_t) {
  const size_t rank = c.input(0).rank();
  const TensorInfo& indices = c.input(1);
  const auto batch = static_cast<size_t>(c.node().int_or("batch_dims", 0));
  const auto depth = static_cast<size_t>(indices.dims.back());
  const std::vector<Expr>& out = c.indices();
  std::vector<Expr> index(out.begin(), out.begin() + static_cast<ptrdiff_t>(batch));
  std::vector<Expr> at(out.begin(), out.begin() + static_cast<ptrdiff_t>(indices.rank() - 1));
  at.emplace_back();
  for (size_t k = 0; k < depth; ++k) {
    at.back() = c.b.i32(static_cast<int64_t>(k));
    QUERN_ASSIGN(Expr which, c.load(1, at));
    index.push_back(wrap_index(c.b, which, c.dim(0, batch + k)));
  }
  for (size_t a = indices.rank() - 1; index.size() < rank; ++a) index.push_back(out[a]);
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_gather_nd;
const OpDef op_gather_nd = {
    .name = "GatherND",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_gather_nd,
    .expr = gathered,
    .eval = eval_moved,
};

}  // namespace quern
