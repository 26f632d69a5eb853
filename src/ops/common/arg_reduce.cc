#include "ops/common/arg_reduce.h"

#include "ops/common/infer.h"

namespace quern {
namespace {

bool keeps_dims(const Node& node) { return node.int_or("keepdims", 1) != 0; }

}  // namespace

Result<void> infer_arg_reduce(InferContext& c) {
  c.set(0, DType::kI64, std::nullopt);
  const Shape* shape = c.shape(0);
  if (shape == nullptr) return {};
  QUERN_ASSIGN(size_t axis, c.axis(c.node().int_or("axis", 0), shape->size()));
  Shape result = *shape;
  if (keeps_dims(c.node())) {
    result[axis] = 1;
  } else {
    result.erase(result.begin() + static_cast<ptrdiff_t>(axis));
  }
  c.set(0, DType::kI64, std::move(result));
  return {};
}

Result<Expr> arg_reduce(ExprContext& c, ExprOp first, ExprOp last) {
  QUERN_ASSIGN(size_t axis, resolve_axis(c.node(), c.node().int_or("axis", 0), c.input(0).rank()));
  std::vector<Expr> index = c.indices();
  const auto at = index.begin() + static_cast<ptrdiff_t>(axis);
  const Expr variable = c.b.loop();
  if (keeps_dims(c.node())) {
    *at = variable;
  } else {
    index.insert(at, variable);
  }
  QUERN_ASSIGN(Expr x, c.load(0, index));
  const ExprOp op = c.node().int_or("select_last_index", 0) != 0 ? last : first;
  return c.b.cast(c.b.reduce(op, variable, c.dim(0, axis), x), Scalar::kI64);
}

}  // namespace quern
