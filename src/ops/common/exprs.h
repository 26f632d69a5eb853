// Expressions that many operators share.
#pragma once

#include <vector>

#include "base/result.h"
#include "ir/op_context.h"

namespace quern {

/// `op` of input 0 at this element.
Result<Expr> unary_expr(ExprContext& c, ExprOp op);
/// `op` of inputs 0 and 1, broadcast.
Result<Expr> binary_expr(ExprContext& c, ExprOp op);
/// `op` of all present inputs from the left, broadcast.
Result<Expr> variadic_expr(ExprContext& c, ExprOp op);

// The same as values for OpDef::expr.
template <ExprOp op>
Result<Expr> unary_expr(ExprContext& c, size_t) {
  return unary_expr(c, op);
}
template <ExprOp op>
Result<Expr> binary_expr(ExprContext& c, size_t) {
  return binary_expr(c, op);
}
template <ExprOp op>
Result<Expr> variadic_expr(ExprContext& c, size_t) {
  return variadic_expr(c, op);
}

/// The value of an input of one element: a constant where it is the same in every binding, else
/// a load.
Result<Expr> scalar_input(ExprContext& c, size_t input);
/// Are the contents of host input i (true where it is absent) the same in every binding?
bool host_baked(const OpContext& c, size_t input);

/// An attribute as a number of the type of `like`.
Expr attribute_number(ExprContext& c, std::string_view name, float fallback, Expr like);

/// `index` held inside [0, extent).
Expr clamp_index(ExprBuilder& b, Expr index, Expr extent);
/// An element of an index tensor as an i32 index: counted from the end where negative, then
/// held inside [0, extent).
Expr wrap_index(ExprBuilder& b, Expr index, Expr extent);

/// Input i at this index, which may lie outside of it along `axes`; `fill` there.
Result<Expr> load_or(ExprContext& c, size_t input, std::vector<Expr> index,
                     std::span<const size_t> axes, Expr fill);
/// The number 0 (or false) in the type that elements of input i are computed in.
Expr zero_of(ExprContext& c, size_t input);

/// Numbers of the type of `x`.
Expr zero(ExprBuilder& b, Expr x);
Expr one(ExprBuilder& b, Expr x);
/// 1 / (1 + exp(-x)).
Expr sigmoid(ExprBuilder& b, Expr x);
/// log(1 + exp(x)) without overflow.
Expr softplus(ExprBuilder& b, Expr x);
/// max(0, min(1, alpha * x + beta)).
Expr hard_sigmoid(ExprBuilder& b, Expr x, double alpha, double beta);
/// x / 2 * (1 + erf(x / sqrt(2))).
Expr gelu(ExprBuilder& b, Expr x);
/// x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))).
Expr gelu_tanh(ExprBuilder& b, Expr x);

}  // namespace quern
