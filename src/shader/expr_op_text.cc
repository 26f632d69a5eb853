#include "ir/expr_ops.h"
#include "shader/elements.h"
#include "shader/expr_text.h"

namespace quern {
namespace {

bool is_pair(Scalar t) { return t == Scalar::kI64 || t == Scalar::kU64; }

std::string call(std::string_view function, const std::vector<std::string>& args) {
  return cat(function, "(", join(args, ", "), ")");
}
std::string infix(std::string_view op, const std::vector<std::string>& args) {
  return cat("(", args[0], " ", op, " ", args[1], ")");
}

std::string_view float_function(ExprOp op) {
  switch (op) {
    case ExprOp::kAbs:
      return "abs";
    case ExprOp::kSign:
      return "sign_f32";
    case ExprOp::kFloor:
      return "floor";
    case ExprOp::kCeil:
      return "ceil";
    case ExprOp::kRound:
      return "round";
    case ExprOp::kTrunc:
      return "trunc";
    case ExprOp::kSqrt:
      return "sqrt_f32";
    case ExprOp::kExp:
      return "exp_f32";
    case ExprOp::kExpm1:
      return "expm1_f32";
    case ExprOp::kLog:
      return "log_f32";
    case ExprOp::kLog1p:
      return "log1p_f32";
    case ExprOp::kSin:
      return "sin_f32";
    case ExprOp::kCos:
      return "cos_f32";
    case ExprOp::kTan:
      return "tan_f32";
    case ExprOp::kAsin:
      return "asin_f32";
    case ExprOp::kAcos:
      return "acos_f32";
    case ExprOp::kAtan:
      return "atan_f32";
    case ExprOp::kSinh:
      return "sinh_f32";
    case ExprOp::kCosh:
      return "cosh_f32";
    case ExprOp::kTanh:
      return "tanh_f32";
    case ExprOp::kAsinh:
      return "asinh_f32";
    case ExprOp::kAcosh:
      return "acosh_f32";
    case ExprOp::kAtanh:
      return "atanh_f32";
    case ExprOp::kErf:
      return "erf_f32";
    case ExprOp::kIsNan:
      return "is_nan";
    case ExprOp::kIsInf:
      return "is_inf";
    case ExprOp::kRem:
      return "rem_f32";
    case ExprOp::kMod:
      return "mod_f32";
    case ExprOp::kPow:
      return "pow_f32";
    case ExprOp::kMin:
      return "min_f32";
    case ExprOp::kMax:
      return "max_f32";
    case ExprOp::kAtan2:
      return "atan2_f32";
    case ExprOp::kNe:
      return "ne_f32";
    default:
      return "";
  }
}

// Infix operators that 32-bit types, and the bitwise ones that pairs have.
std::string_view symbol(ExprOp op) {
  switch (op) {
    case ExprOp::kAdd:
      return "+";
    case ExprOp::kSub:
      return "-";
    case ExprOp::kMul:
      return "*";
    case ExprOp::kDiv:
      return "/";
    case ExprOp::kRem:
      return "%";
    case ExprOp::kBitAnd:
      return "&";
    case ExprOp::kBitOr:
      return "|";
    case ExprOp::kBitXor:
      return "^";
    case ExprOp::kEq:
      return "==";
    case ExprOp::kNe:
    case ExprOp::kXor:
      return "!=";
    case ExprOp::kLt:
      return "<";
    case ExprOp::kLe:
      return "<=";
    case ExprOp::kGt:
      return ">";
    case ExprOp::kGe:
      return ">=";
    case ExprOp::kAnd:
      return "&&";
    case ExprOp::kOr:
      return "||";
    default:
      return "";
  }
}

std::string bitcast_text(Scalar to, Scalar from, const std::string& a) {
  if (from == to || (is_pair(from) && is_pair(to))) return a;
  if (from == Scalar::kF64) return cat("f64_of_f32(", a, ")");
  if (to == Scalar::kF64) return cat("f32_of_f64(", a, ")");
  return cat("bitcast<", wgsl_type(to), ">(", a, ")");
}

std::string pair_text(const ExprNode& node, Scalar type, const std::vector<std::string>& a) {
  const std::string_view suffix = type == Scalar::kI64 ? "_i64" : "_u64";
  const std::string less = cat("lt", suffix);
  switch (node.op) {
    case ExprOp::kNeg:
      return call("neg_64", a);
    case ExprOp::kAbs:
      return type == Scalar::kI64 ? call("abs_i64", a) : a[0];
    case ExprOp::kSign:
      return call(cat("sign", suffix), a);
    case ExprOp::kAdd:
      return call("add_64", a);
    case ExprOp::kSub:
      return call("sub_64", a);
    case ExprOp::kMul:
      return call("mul_64", a);
    case ExprOp::kDiv:
      return call(cat("div", suffix), a);
    case ExprOp::kRem:
      return call(cat("rem", suffix), a);
    case ExprOp::kMod:
      return call(type == Scalar::kI64 ? "mod_i64" : "rem_u64", a);
    case ExprOp::kPow:
      return call(cat("pow", suffix), a);
    case ExprOp::kMin:
      return call(cat("min", suffix), a);
    case ExprOp::kMax:
      return call(cat("max", suffix), a);
    case ExprOp::kShl:
      return call("shl_64", a);
    case ExprOp::kShr:
      return call(cat("shr", suffix), a);
    case ExprOp::kEq:
      return cat("all", infix("==", a));
    case ExprOp::kNe:
      return cat("any", infix("!=", a));
    case ExprOp::kLt:
      return cat(less, "(", a[0], ", ", a[1], ")");
    case ExprOp::kGt:
      return cat(less, "(", a[1], ", ", a[0], ")");
    case ExprOp::kLe:
      return cat("!", less, "(", a[1], ", ", a[0], ")");
    case ExprOp::kGe:
      return cat("!", less, "(", a[0], ", ", a[1], ")");
    default:
      return infix(symbol(node.op), a);
  }
}

std::string int_text(const ExprNode& node, Scalar type, const std::vector<std::string>& a) {
  const bool is_signed = type == Scalar::kI32;
  const std::string_view suffix = is_signed ? "_i32" : "_u32";
  // A divisor known to be positive needs no guard: so are most that come from shapes.
  const bool plain_divisor =
      !a[1 % a.size()].empty() && a[1 % a.size()][0] >= '1' && a[1 % a.size()][0] <= '9';
  switch (node.op) {
    case ExprOp::kNeg:
      return is_signed ? cat("(-", a[0], ")") : cat("(0u - ", a[0], ")");
    case ExprOp::kAbs:
      return is_signed ? call("abs", a) : a[0];
    case ExprOp::kSign:
      return is_signed ? call("sign", a) : cat("min(", a[0], ", 1u)");
    case ExprOp::kDiv:
      return plain_divisor ? infix("/", a) : call(cat("div", suffix), a);
    case ExprOp::kRem:
      return plain_divisor && !is_signed ? infix("%", a) : call(cat("rem", suffix), a);
    case ExprOp::kMod:
      if (is_signed) return call("mod_i32", a);
      return plain_divisor ? infix("%", a) : call("rem_u32", a);
    case ExprOp::kPow:
      return call(cat("pow", suffix), a);
    case ExprOp::kMin:
      return call("min", a);
    case ExprOp::kMax:
      return call("max", a);
    case ExprOp::kShl:
      return call(cat("shl", suffix), a);
    case ExprOp::kShr:
      return call(cat("shr", suffix), a);
    default:
      return infix(symbol(node.op), a);
  }
}

}  // namespace

std::string op_text(const ExprNode& node, Scalar arg_type, const std::vector<std::string>& args) {
  switch (node.op) {
    case ExprOp::kSelect:
      return cat("select(", args[2], ", ", args[1], ", ", args[0], ")");
    case ExprOp::kCast:
      return cast_text(node.type, arg_type, args[0]);
    case ExprOp::kNarrow:
      return narrow_text(static_cast<DType>(node.slot), node.type, args[0]);
    case ExprOp::kBitcast:
      return bitcast_text(node.type, arg_type, args[0]);
    case ExprOp::kNot:
      return cat("!", args[0]);
    case ExprOp::kBitNot:
      return cat("(~", args[0], ")");
    default:
      break;
  }
  if (is_pair(arg_type)) return pair_text(node, arg_type, args);
  if (is_float(arg_type)) {
    if (node.op == ExprOp::kNeg) return cat("(-", args[0], ")");
    const std::string_view function = float_function(node.op);
    return function.empty() ? infix(symbol(node.op), args) : call(function, args);
  }
  if (arg_type == Scalar::kBool) return infix(symbol(node.op), args);
  if (node.op >= ExprOp::kFloor && node.op <= ExprOp::kTrunc) return args[0];
  return int_text(node, arg_type, args);
}

std::string arg_replaces_text(ExprOp op, Scalar type, const std::string& value,
                              const std::string& best) {
  const bool last = op == ExprOp::kArgMinLast || op == ExprOp::kArgMaxLast;
  const bool least = op == ExprOp::kArgMinFirst || op == ExprOp::kArgMinLast;
  const ExprOp compare =
      least ? (last ? ExprOp::kLe : ExprOp::kLt) : (last ? ExprOp::kGe : ExprOp::kGt);
  std::string better = op_text({compare, Scalar::kBool, 0, 0, {}}, type, {value, best});
  if (!is_float(type)) return better;
  return last ? cat("(is_nan(", value, ") || (", better, " && !is_nan(", best, ")))")
              : cat("(!is_nan(", best, ") && (", better, " || is_nan(", value, ")))");
}

}  // namespace quern
