// What ExprBuilder simplifies. Each fold_ function gives Expr{} where it knows nothing.
#include <bit>
#include <cmath>

#include "ir/expr.h"
#include "ir/expr_ops.h"

namespace quern {
namespace {

constexpr Expr kNone{};

// Is 1/x exact?
bool is_power_of_two(double x) {
  int exponent = 0;
  return std::fabs(std::frexp(x, &exponent)) == 0.5 && exponent > -100 && exponent < 100;
}

}  // namespace

Expr ExprBuilder::fold(const ExprNode& node) {
  bool all_constant = true;
  ScalarBits values[3] = {};
  for (size_t i = 0; i < node.args.size(); ++i) {
    all_constant = all_constant && is_constant(node.args[i], &values[i]);
  }
  const Scalar arg_type = type_of(node.args.back());
  if (all_constant) {
    return intern({ExprOp::kConst,
                   node.type,
                   0,
                   apply(node.op, node.type, arg_type, node.slot, {values, node.args.size()}),
                   {}});
  }
  if (node.op == ExprOp::kSelect) {
    int64_t condition = 0;
    if (is_constant(node.args[0], &condition)) return node.args[condition != 0 ? 1 : 2];
    if (node.args[1] == node.args[2]) return node.args[1];
    int64_t t = 0;
    int64_t f = 0;
    if (node.type == Scalar::kBool && is_constant(node.args[1], &t) &&
        is_constant(node.args[2], &f)) {
      return t != 0 ? node.args[0] : logical_not(node.args[0]);
    }
    return kNone;
  }
  if (node.args.size() == 1) return fold_unary(node);
  if (is_comparison(node.op)) return fold_compare(node);
  if (arg_type == Scalar::kBool) return fold_bool(node);
  return is_float(arg_type) ? fold_float(node) : fold_int(node);
}

Expr ExprBuilder::fold_unary(const ExprNode& node) {
  const Expr a = node.args[0];
  const ExprNode& inner = program_.at(a);
  switch (node.op) {
    case ExprOp::kNeg:
    case ExprOp::kNot:
    case ExprOp::kBitNot:
      return inner.op == node.op ? inner.args[0] : kNone;
    case ExprOp::kAbs:
      if (inner.op == ExprOp::kAbs) return a;
      if (is_unsigned(node.type)) return a;
      return is_integer(node.type) && range(a).lower >= 0 ? a : kNone;
    case ExprOp::kFloor:
    case ExprOp::kCeil:
    case ExprOp::kRound:
    case ExprOp::kTrunc:
      return inner.op >= ExprOp::kFloor && inner.op <= ExprOp::kTrunc ? a : kNone;
    case ExprOp::kNarrow:
      return inner.op == ExprOp::kNarrow && inner.slot == node.slot ? a : kNone;
    case ExprOp::kBitcast:
      return inner.op == ExprOp::kBitcast ? bitcast(inner.args[0], node.type) : kNone;
    case ExprOp::kCast: {
      if (inner.op != ExprOp::kCast) return kNone;
      const Scalar from = type_of(inner.args[0]);
      const Scalar through = inner.type;
      // Integers through a type as wide as the last one only wrap once; f32 through f64 is exact.
      const bool ints = is_integer(through) && is_integer(node.type) &&
                        (is_integer(from) || from == Scalar::kBool) &&
                        width_of(through) >= width_of(node.type);
      if (ints || (from == Scalar::kF32 && through == Scalar::kF64 && is_float(node.type))) {
        return cast(inner.args[0], node.type);
      }
      return from == Scalar::kBool && node.type == Scalar::kBool ? inner.args[0] : kNone;
    }
    default:
      return kNone;
  }
}

Expr ExprBuilder::fold_bool(const ExprNode& node) {
  const Expr a = node.args[0];
  const Expr b = node.args[1];
  int64_t value = 0;
  if (a == b) return node.op == ExprOp::kXor ? boolean(false) : a;
  if (!is_constant(b, &value)) return kNone;  // constants stand to the right
  switch (node.op) {
    case ExprOp::kAnd:
      return value != 0 ? a : b;
    case ExprOp::kOr:
      return value != 0 ? b : a;
    default:
      return value != 0 ? logical_not(a) : a;
  }
}

Expr ExprBuilder::fold_compare(const ExprNode& node) {
  const Expr a = node.args[0];
  const Expr b = node.args[1];
  const Scalar type = type_of(a);
  int64_t value = 0;
  if (type == Scalar::kBool) {
    if (!is_constant(b, &value)) return kNone;
    return (value != 0) == (node.op == ExprOp::kEq) ? a : logical_not(a);
  }
  if (is_float(type)) return kNone;
  if (a == b) {
    return boolean(node.op == ExprOp::kEq || node.op == ExprOp::kLe || node.op == ExprOp::kGe);
  }
  if (type == Scalar::kU64) return kNone;
  const Range x = range(a);
  const Range y = range(b);
  const bool less = x.upper < y.lower;  // a < b always
  const bool less_equal = x.upper <= y.lower;
  const bool greater = x.lower > y.upper;
  const bool greater_equal = x.lower >= y.upper;
  switch (node.op) {
    case ExprOp::kEq:
      return less || greater ? boolean(false) : kNone;
    case ExprOp::kNe:
      return less || greater ? boolean(true) : kNone;
    case ExprOp::kLt:
      return less ? boolean(true) : greater_equal ? boolean(false) : kNone;
    case ExprOp::kLe:
      return less_equal ? boolean(true) : greater ? boolean(false) : kNone;
    case ExprOp::kGt:
      return greater ? boolean(true) : less_equal ? boolean(false) : kNone;
    default:
      return greater_equal ? boolean(true) : less ? boolean(false) : kNone;
  }
}

Expr ExprBuilder::fold_float(const ExprNode& node) {
  const Expr a = node.args[0];
  const Expr b = node.args[1];
  if (a == b && (node.op == ExprOp::kMin || node.op == ExprOp::kMax)) return a;
  int64_t bits = 0;
  if (!is_constant(b, &bits)) return kNone;
  const double value = std::bit_cast<double>(bits);
  switch (node.op) {
    // The sign of a zero sum may change: x + 0 is x here.
    case ExprOp::kAdd:
    case ExprOp::kSub:
      return value == 0.0 ? a : kNone;
    case ExprOp::kMul:
      if (value == 1.0) return a;
      return value == -1.0 ? unary(ExprOp::kNeg, a) : kNone;
    case ExprOp::kDiv:
      if (value == 1.0) return a;
      return is_power_of_two(value) ? mul(a, constant(node.type, 1.0 / value)) : kNone;
    case ExprOp::kPow:  // a device's pow is slow and inexact
      if (value == 1.0) return a;
      if (value == 2.0) return mul(a, a);
      return value == 3.0 ? mul(mul(a, a), a) : kNone;
    default:
      return kNone;
  }
}

Expr ExprBuilder::fold_int(const ExprNode& node) {
  const Expr a = node.args[0];
  const Expr b = node.args[1];
  const Scalar type = node.type;
  const ExprOp op = node.op;
  if (a == b) {
    if (op == ExprOp::kSub || op == ExprOp::kBitXor) return constant_int(type, 0);
    if (op == ExprOp::kMin || op == ExprOp::kMax || op == ExprOp::kBitAnd || op == ExprOp::kBitOr) {
      return a;
    }
  }
  if (type != Scalar::kU64 && (op == ExprOp::kMin || op == ExprOp::kMax)) {
    const Range x = range(a);
    const Range y = range(b);
    if (x.upper <= y.lower) return op == ExprOp::kMin ? a : b;
    if (y.upper <= x.lower) return op == ExprOp::kMin ? b : a;
  }
  int64_t value = 0;
  int64_t zero = 1;
  if (is_constant(a, &zero) && zero == 0) {
    if (op == ExprOp::kSub) return unary(ExprOp::kNeg, b);
    if (op == ExprOp::kDiv || op == ExprOp::kRem || op == ExprOp::kMod || op == ExprOp::kShl ||
        op == ExprOp::kShr) {
      return a;
    }
  }
  if (!is_constant(b, &value)) return kNone;
  const auto wrapped = [&](ExprOp by, int64_t x, int64_t y) {
    const ScalarBits args[] = {x, y};
    return intern({ExprOp::kConst, type, 0, apply(by, type, type, 0, args), {}});
  };
  const ExprNode inner = program_.at(a);  // a copy: interning moves nodes
  int64_t before = 0;
  const bool chained =
      inner.op == op && inner.args.size() == 2 && is_constant(inner.args[1], &before);
  switch (op) {
    case ExprOp::kAdd:
      if (value == 0) return a;
      return chained ? add(inner.args[0], wrapped(ExprOp::kAdd, before, value)) : kNone;
    case ExprOp::kSub:
      if (value == 0) return a;
      return is_unsigned(type) ? kNone : add(a, wrapped(ExprOp::kSub, 0, value));
    case ExprOp::kMul:
      if (value == 0) return b;
      if (value == 1) return a;
      return chained ? mul(inner.args[0], wrapped(ExprOp::kMul, before, value)) : kNone;
    case ExprOp::kDiv:
    case ExprOp::kRem:
    case ExprOp::kMod:
      return fold_divide(node);
    case ExprOp::kPow:
      if (value == 1) return a;
      if (value == 2) return mul(a, a);
      return value == 0 ? constant_int(type, 1) : kNone;
    case ExprOp::kBitAnd:
      return value == 0 ? b : kNone;
    case ExprOp::kBitOr:
    case ExprOp::kBitXor:
    case ExprOp::kShl:
    case ExprOp::kShr:
      return value == 0 ? a : kNone;
    default:
      return kNone;
  }
}

// Division by a constant: (4 i + j) / 4 is i and its remainder j where i >= 0 and 0 <= j < 4,
// which undoes the flat indices of fused reshapes.
Expr ExprBuilder::fold_divide(const ExprNode& node) {
  const Expr a = node.args[0];
  const Expr b = node.args[1];
  const bool is_div = node.op == ExprOp::kDiv;
  const int64_t c = program_.at(b).bits;
  if (c == 0) return b;
  if (c == 1) return is_div ? a : constant_int(node.type, 0);
  if (node.type == Scalar::kU64 || c < 0) return kNone;
  const Range r = range(a);
  if (r.lower >= 0 && r.upper < c) return is_div ? constant_int(node.type, 0) : a;
  if (is_unsigned(node.type)) return kNone;  // below, a bounded range means: did not wrap
  const ExprNode inner = program_.at(a);
  int64_t k = 0;
  const auto multiple_of_c = [&](Expr e) {
    const ExprNode& n = program_.at(e);
    return range(e).lower >= 0 &&
           ((n.op == ExprOp::kMul && is_constant(n.args[1], &k) && k > 0 && k % c == 0) ||
            (n.op == ExprOp::kConst && n.bits % c == 0));
  };
  const auto bounded = [&](Expr e) { return range(e).lower >= 0; };
  if (inner.op == ExprOp::kMul && bounded(a) && is_constant(inner.args[1], &k) && k > 0) {
    if (k % c == 0) {
      return is_div ? mul(inner.args[0], constant_int(node.type, k / c))
                    : constant_int(node.type, 0);
    }
    if (is_div && c % k == 0) return div(inner.args[0], constant_int(node.type, c / k));
  }
  if (inner.op == ExprOp::kAdd && bounded(a)) {
    for (int side = 0; side < 2; ++side) {
      const Expr u = inner.args[side];
      const Expr v = inner.args[1 - side];
      if (!bounded(v) || !multiple_of_c(u)) continue;
      return is_div ? add(div(u, b), div(v, b)) : binary(node.op, v, b);
    }
  }
  int64_t before = 0;
  if (is_div && inner.op == ExprOp::kDiv && is_constant(inner.args[1], &before) && before > 0 &&
      before <= INT32_MAX / c) {
    return div(inner.args[0], constant_int(node.type, before * c));
  }
  return kNone;
}

}  // namespace quern
