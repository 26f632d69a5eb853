// What each ExprOp means on scalars: arity, result type, value. The folder of the builder, the
// verifier and the evaluator all use these, so there is one meaning.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "ir/expr.h"

namespace quern {

/// The operator's name in the text form: "add", "reduce_sum".
std::string_view name_of(ExprOp op);
/// "f32", "i64".
std::string_view name_of(Scalar type);

constexpr bool is_float(Scalar t) { return t == Scalar::kF32 || t == Scalar::kF64; }
constexpr bool is_integer(Scalar t) { return !is_float(t) && t != Scalar::kBool; }
constexpr bool is_unsigned(Scalar t) { return t == Scalar::kU32 || t == Scalar::kU64; }
/// Bits of a value; 1 for bool.
constexpr int width_of(Scalar t) {
  switch (t) {
    case Scalar::kBool:
      return 1;
    case Scalar::kF64:
    case Scalar::kI64:
    case Scalar::kU64:
      return 64;
    default:
      return 32;
  }
}

/// Calls visit(Expr) once for each node from `roots` down, arguments in their order; where it gives
/// false what is below that node is left out.
template <class F>
void walk_down(const ExprProgram& program, std::vector<Expr> roots, F&& visit) {
  std::vector<bool> seen(program.nodes.size());
  std::vector<Expr> stack = std::move(roots);
  while (!stack.empty()) {
    const Expr e = stack.back();
    stack.pop_back();
    if (seen[e.id]) continue;
    seen[e.id] = true;
    if (!visit(e)) continue;
    const auto& args = program.at(e).args;
    stack.insert(stack.end(), args.rbegin(), args.rend());
  }
}

constexpr bool is_leaf(ExprOp op) { return op <= ExprOp::kLoop; }
constexpr bool is_load(ExprOp op) { return op == ExprOp::kLoad || op == ExprOp::kLoadFlat; }
constexpr bool is_unary(ExprOp op) { return op >= ExprOp::kNeg && op <= ExprOp::kBitcast; }
constexpr bool is_binary(ExprOp op) { return op >= ExprOp::kAdd && op <= ExprOp::kXor; }
constexpr bool is_comparison(ExprOp op) { return op >= ExprOp::kEq && op <= ExprOp::kGe; }
constexpr bool is_reduction(ExprOp op) { return op >= ExprOp::kReduceSum; }
constexpr bool is_arg_reduction(ExprOp op) { return op >= ExprOp::kArgMinFirst; }
/// The order of its two arguments does not matter.
constexpr bool is_commutative(ExprOp op) {
  switch (op) {
    case ExprOp::kAdd:
    case ExprOp::kMul:
    case ExprOp::kMin:
    case ExprOp::kMax:
    case ExprOp::kBitAnd:
    case ExprOp::kBitOr:
    case ExprOp::kBitXor:
    case ExprOp::kEq:
    case ExprOp::kNe:
    case ExprOp::kAnd:
    case ExprOp::kOr:
    case ExprOp::kXor:
      return true;
    default:
      return false;
  }
}

/// May `op` take arguments of `type`? (of select: the two values; of reductions: the body)
bool accepts(ExprOp op, Scalar type);
/// The type that an operator of one or two arguments or a reduction gives on arguments of `type`
/// (casts and bitcasts say theirs themselves).
Scalar result_type(ExprOp op, Scalar type);

/// A scalar value held as ExprNode::bits says: integers sign- or zero-extended, booleans 0 or 1,
/// floats as the bits of a double (already rounded to f32 where the type is f32).
using ScalarBits = int64_t;

/// The value that ExprProgram::params holds for a parameter of `type` (f32 as its 32 bits).
ScalarBits param_value(Scalar type, int64_t word);
/// The double of a float value, or an integer as double.
double to_double(Scalar type, ScalarBits value);
/// The value nearest to `value` in `type`; NaN is made canonical.
ScalarBits from_double(Scalar type, double value);
/// An integer wrapped to `type` (floats: converted).
ScalarBits from_int(Scalar type, int64_t value);

/// Applies an operator that is neither leaf nor load nor reduction. `arg_type` is the type of the
/// last argument; `slot` the DType of kNarrow.
ScalarBits apply(ExprOp op, Scalar type, Scalar arg_type, uint32_t slot,
                 std::span<const ScalarBits> args);

/// The value of a reduction over nothing (of kReduceMin: the largest value). 0 for kArg*.
ScalarBits reduction_identity(ExprOp op, Scalar type);
/// Does `value` replace `best` in an arg-reduction over `type`? NaN beats every number.
bool arg_replaces(ExprOp op, Scalar type, ScalarBits value, ScalarBits best);

/// Element `i` of raw storage, widened to compute_type(dtype); and back, wrapped or rounded.
ScalarBits load_element(DType dtype, const uint8_t* data, int64_t i);
void store_element(DType dtype, Scalar type, uint8_t* data, int64_t i, ScalarBits value);

}  // namespace quern
