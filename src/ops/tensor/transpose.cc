// Transpose: axis a of the output is axis perm[a] of the input; reversed by default.
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"perm", AttributeKind::kInts}};

Result<std::vector<size_t>> permutation(const Node& node, size_t rank) {
  std::vector<int64_t> perm;
  if (const std::vector<int64_t>* given = node.ints("perm")) {
    perm = *given;
  } else {
    for (size_t a = rank; a-- > 0;) perm.push_back(static_cast<int64_t>(a));
  }
  if (perm.size() != rank) {
    return invalid_model(
        cat(node.describe(), ": perm [", join(perm, ", "), "] is not of rank ", rank));
  }
  return resolve_axes(node, perm, rank);
}

Result<void> infer_transpose(InferContext& c) {
  const Shape* shape = c.shape(0);
  if (shape == nullptr) {
    const std::vector<int64_t>* perm = c.node().ints("perm");
    c.set(0, c.dtype(0),
          perm == nullptr ? std::nullopt : std::optional(fresh_shape(c, 0, perm->size())));
    return {};
  }
  QUERN_ASSIGN(std::vector<size_t> perm, permutation(c.node(), shape->size()));
  Shape result;
  for (size_t from : perm) result.push_back((*shape)[from]);
  c.set(0, c.dtype(0), std::move(result));
  return infer_moved_contents(c);
}

Result<Expr> transposed(ExprContext& c, size_t) {
  QUERN_ASSIGN(std::vector<size_t> perm, permutation(c.node(), c.input(0).rank()));
  std::vector<Expr> index(perm.size());
  for (size_t a = 0; a < perm.size(); ++a) index[perm[a]] = c.index(a);
  return c.load(0, index);
}

}  // namespace

extern const OpDef op_transpose;
const OpDef op_transpose = {
    .name = "Transpose",
    .types = kMovableTypes,
    .attributes = kAttributes,
    .infer = infer_transpose,
    .expr = transposed,
    .eval = eval_moved,
};

}  // namespace quern
