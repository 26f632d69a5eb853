#include "ir/expr_ops.h"

#include <bit>
#include <cmath>
#include <limits>

#include "ir/tensor.h"

namespace quern {
namespace {

constexpr std::string_view kNames[] = {
    "const",      "param",      "index",      "loop",         "load",        "load_flat",
    "neg",        "abs",        "sign",       "floor",        "ceil",        "round",
    "trunc",      "sqrt",       "exp",        "expm1",        "log",         "log1p",
    "sin",        "cos",        "tan",        "asin",         "acos",        "atan",
    "sinh",       "cosh",       "tanh",       "asinh",        "acosh",       "atanh",
    "erf",        "not",        "bit_not",    "is_nan",       "is_inf",      "cast",
    "narrow",     "bitcast",    "add",        "sub",          "mul",         "div",
    "rem",        "mod",        "pow",        "min",          "max",         "atan2",
    "bit_and",    "bit_or",     "bit_xor",    "shl",          "shr",         "eq",
    "ne",         "lt",         "le",         "gt",           "ge",          "and",
    "or",         "xor",        "select",     "reduce_sum",   "reduce_prod", "reduce_min",
    "reduce_max", "reduce_any", "reduce_all", "argmin_first", "argmin_last", "argmax_first",
    "argmax_last"};
static_assert(std::size(kNames) == static_cast<size_t>(ExprOp::kArgMaxLast) + 1);

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

double as_double(ScalarBits bits) { return std::bit_cast<double>(bits); }

int64_t lowest_int(Scalar t) {
  if (is_unsigned(t)) return 0;
  return t == Scalar::kI64 ? INT64_MIN : INT32_MIN;
}
// The bits of the largest value.
int64_t highest_int(Scalar t) {
  switch (t) {
    case Scalar::kI32:
      return INT32_MAX;
    case Scalar::kU32:
      return UINT32_MAX;
    case Scalar::kI64:
      return INT64_MAX;
    default:
      return -1;
  }
}

// Truncates and saturates; NaN gives 0.
ScalarBits float_to_int(Scalar to, double v) {
  if (std::isnan(v)) return 0;
  const double low = to == Scalar::kI64 ? -0x1p63 : to == Scalar::kI32 ? -0x1p31 : 0.0;
  const double past = to == Scalar::kI32   ? 0x1p31
                      : to == Scalar::kU32 ? 0x1p32
                      : to == Scalar::kI64 ? 0x1p63
                                           : 0x1p64;
  if (v <= low) return lowest_int(to);
  if (v >= past) return highest_int(to);
  if (to == Scalar::kU64) return static_cast<int64_t>(static_cast<uint64_t>(v));
  return static_cast<int64_t>(v);
}

ScalarBits cast_value(Scalar to, Scalar from, ScalarBits v) {
  if (is_float(from)) {
    const double d = as_double(v);
    if (is_float(to)) return from_double(to, d);
    if (to == Scalar::kBool) return d != 0.0;  // NaN is true, as in C
    return float_to_int(to, d);
  }
  if (to == Scalar::kBool) return v != 0;
  if (to == Scalar::kF32) {  // in one rounding
    const float f =
        from == Scalar::kU64 ? static_cast<float>(static_cast<uint64_t>(v)) : static_cast<float>(v);
    return from_double(to, f);
  }
  if (to == Scalar::kF64) return from_double(to, to_double(from, v));
  return from_int(to, v);
}

ScalarBits narrow_value(Scalar type, DType dtype, ScalarBits v) {
  uint8_t bytes[8] = {};
  store_element(dtype, type, bytes, 0, v);
  if (is_float(type)) return from_double(type, load_float(dtype, bytes, 0));
  return from_int(type, load_int(dtype, bytes, 0));
}

ScalarBits bitcast_value(Scalar to, Scalar from, ScalarBits v) {
  if (from == Scalar::kF32) v = std::bit_cast<int32_t>(static_cast<float>(as_double(v)));
  if (to == Scalar::kF32) {
    const double wide = std::bit_cast<float>(static_cast<int32_t>(v));
    return std::bit_cast<int64_t>(wide);
  }
  return to == Scalar::kF64 ? v : from_int(to, v);
}

double float_unary(ExprOp op, double x) {
  switch (op) {
    case ExprOp::kNeg:
      return -x;
    case ExprOp::kAbs:
      return std::fabs(x);
    case ExprOp::kSign:
      return std::isnan(x) ? x : static_cast<double>((x > 0) - (x < 0));
    case ExprOp::kFloor:
      return std::floor(x);
    case ExprOp::kCeil:
      return std::ceil(x);
    case ExprOp::kRound:
      return std::nearbyint(x);
    case ExprOp::kTrunc:
      return std::trunc(x);
    case ExprOp::kSqrt:
      return std::sqrt(x);
    case ExprOp::kExp:
      return std::exp(x);
    case ExprOp::kExpm1:
      return std::expm1(x);
    case ExprOp::kLog:
      return std::log(x);
    case ExprOp::kLog1p:
      return std::log1p(x);
    case ExprOp::kSin:
      return std::sin(x);
    case ExprOp::kCos:
      return std::cos(x);
    case ExprOp::kTan:
      return std::tan(x);
    case ExprOp::kAsin:
      return std::asin(x);
    case ExprOp::kAcos:
      return std::acos(x);
    case ExprOp::kAtan:
      return std::atan(x);
    case ExprOp::kSinh:
      return std::sinh(x);
    case ExprOp::kCosh:
      return std::cosh(x);
    case ExprOp::kTanh:
      return std::tanh(x);
    case ExprOp::kAsinh:
      return std::asinh(x);
    case ExprOp::kAcosh:
      return std::acosh(x);
    case ExprOp::kAtanh:
      return std::atanh(x);
    case ExprOp::kErf:
      return std::erf(x);
    default:
      return kNan;
  }
}

double float_binary(ExprOp op, double a, double b) {
  switch (op) {
    case ExprOp::kAdd:
      return a + b;
    case ExprOp::kSub:
      return a - b;
    case ExprOp::kMul:
      return a * b;
    case ExprOp::kDiv:
      return a / b;
    case ExprOp::kRem:
      return std::fmod(a, b);
    case ExprOp::kMod: {
      const double r = std::fmod(a, b);
      if (r == 0.0) return std::copysign(0.0, b);
      return (r < 0) != (b < 0) ? r + b : r;
    }
    case ExprOp::kPow:
      return std::pow(a, b);
    case ExprOp::kMin:
      return std::isnan(a) || std::isnan(b) ? kNan : (b < a ? b : a);
    case ExprOp::kMax:
      return std::isnan(a) || std::isnan(b) ? kNan : (b > a ? b : a);
    case ExprOp::kAtan2:
      return std::atan2(a, b);
    default:
      return kNan;
  }
}

// True if a < b as values of an integer type.
bool int_less(Scalar type, int64_t a, int64_t b) {
  if (type == Scalar::kU64) return static_cast<uint64_t>(a) < static_cast<uint64_t>(b);
  return a < b;
}

int64_t int_pow(Scalar type, int64_t base, int64_t exponent) {
  if (exponent < 0 && !is_unsigned(type)) {
    if (base == 1) return 1;
    if (base == -1) return (exponent & 1) != 0 ? -1 : 1;
    return 0;
  }
  uint64_t result = 1;
  uint64_t square = static_cast<uint64_t>(base);
  for (auto e = static_cast<uint64_t>(exponent); e != 0; e >>= 1) {
    if ((e & 1) != 0) result *= square;
    square *= square;
  }
  return static_cast<int64_t>(result);
}

// Division of the widened values; `a` and `b` fit the type, the result is wrapped by the caller.
int64_t int_divide(ExprOp op, Scalar type, int64_t a, int64_t b) {
  if (b == 0) return 0;
  if (type == Scalar::kU64) {
    const auto ua = static_cast<uint64_t>(a);
    const auto ub = static_cast<uint64_t>(b);
    return static_cast<int64_t>(op == ExprOp::kDiv ? ua / ub : ua % ub);
  }
  if (b == -1) {  // INT64_MIN / -1 would trap
    return op == ExprOp::kDiv ? static_cast<int64_t>(-static_cast<uint64_t>(a)) : 0;
  }
  if (op == ExprOp::kDiv) return a / b;
  const int64_t r = a % b;
  return op == ExprOp::kMod && r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

int64_t int_shift(ExprOp op, Scalar type, int64_t a, int64_t b) {
  const int width = width_of(type);
  const bool past = b < 0 || b >= width;  // a negative count is a huge unsigned one
  if (op == ExprOp::kShl) return past ? 0 : static_cast<int64_t>(static_cast<uint64_t>(a) << b);
  if (is_unsigned(type)) return past ? 0 : static_cast<int64_t>(static_cast<uint64_t>(a) >> b);
  return a >> (past ? width - 1 : b);
}

int64_t int_binary(ExprOp op, Scalar type, int64_t a, int64_t b) {
  const auto ua = static_cast<uint64_t>(a);
  const auto ub = static_cast<uint64_t>(b);
  switch (op) {
    case ExprOp::kAdd:
      return static_cast<int64_t>(ua + ub);
    case ExprOp::kSub:
      return static_cast<int64_t>(ua - ub);
    case ExprOp::kMul:
      return static_cast<int64_t>(ua * ub);
    case ExprOp::kDiv:
    case ExprOp::kRem:
    case ExprOp::kMod:
      return int_divide(op, type, a, b);
    case ExprOp::kPow:
      return int_pow(type, a, b);
    case ExprOp::kMin:
      return int_less(type, b, a) ? b : a;
    case ExprOp::kMax:
      return int_less(type, a, b) ? b : a;
    case ExprOp::kBitAnd:
    case ExprOp::kAnd:
      return a & b;
    case ExprOp::kBitOr:
    case ExprOp::kOr:
      return a | b;
    case ExprOp::kBitXor:
    case ExprOp::kXor:
      return a ^ b;
    case ExprOp::kShl:
    case ExprOp::kShr:
      return int_shift(op, type, a, b);
    default:
      return 0;
  }
}

template <class T>
bool compare(ExprOp op, T a, T b) {
  switch (op) {
    case ExprOp::kEq:
      return a == b;
    case ExprOp::kNe:
      return a != b;
    case ExprOp::kLt:
      return a < b;
    case ExprOp::kLe:
      return a <= b;
    case ExprOp::kGt:
      return a > b;
    default:
      return a >= b;
  }
}

bool compare_values(ExprOp op, Scalar type, ScalarBits a, ScalarBits b) {
  if (is_float(type)) return compare(op, as_double(a), as_double(b));
  if (type == Scalar::kU64) return compare(op, static_cast<uint64_t>(a), static_cast<uint64_t>(b));
  return compare(op, a, b);
}

}  // namespace

std::string_view name_of(ExprOp op) { return kNames[static_cast<size_t>(op)]; }

std::string_view name_of(Scalar type) {
  constexpr std::string_view names[] = {"f32", "f64", "i32", "u32", "i64", "u64", "bool"};
  return names[static_cast<size_t>(type)];
}

bool accepts(ExprOp op, Scalar type) {
  switch (op) {
    case ExprOp::kNeg:
    case ExprOp::kAbs:
    case ExprOp::kSign:
    case ExprOp::kAdd:
    case ExprOp::kSub:
    case ExprOp::kMul:
    case ExprOp::kDiv:
    case ExprOp::kRem:
    case ExprOp::kMod:
    case ExprOp::kPow:
    case ExprOp::kMin:
    case ExprOp::kMax:
    case ExprOp::kLt:
    case ExprOp::kLe:
    case ExprOp::kGt:
    case ExprOp::kGe:
    case ExprOp::kReduceSum:
    case ExprOp::kReduceProd:
    case ExprOp::kReduceMin:
    case ExprOp::kReduceMax:
    case ExprOp::kNarrow:
    case ExprOp::kBitcast:
      return type != Scalar::kBool;
    case ExprOp::kBitNot:
    case ExprOp::kBitAnd:
    case ExprOp::kBitOr:
    case ExprOp::kBitXor:
    case ExprOp::kShl:
    case ExprOp::kShr:
      return is_integer(type);
    case ExprOp::kNot:
    case ExprOp::kAnd:
    case ExprOp::kOr:
    case ExprOp::kXor:
    case ExprOp::kReduceAny:
    case ExprOp::kReduceAll:
      return type == Scalar::kBool;
    case ExprOp::kCast:
    case ExprOp::kEq:
    case ExprOp::kNe:
    case ExprOp::kSelect:
      return true;
    case ExprOp::kArgMinFirst:
    case ExprOp::kArgMinLast:
    case ExprOp::kArgMaxFirst:
    case ExprOp::kArgMaxLast:
      return type != Scalar::kBool;
    default:
      return (is_unary(op) || op == ExprOp::kAtan2) && is_float(type);
  }
}

Scalar result_type(ExprOp op, Scalar type) {
  if (is_comparison(op) || op == ExprOp::kIsNan || op == ExprOp::kIsInf) return Scalar::kBool;
  return is_arg_reduction(op) ? Scalar::kI32 : type;
}

ScalarBits param_value(Scalar type, int64_t word) {
  if (type == Scalar::kF64) return word;
  if (type == Scalar::kF32)
    return from_double(type, std::bit_cast<float>(static_cast<int32_t>(word)));
  return from_int(type, word);
}

double to_double(Scalar type, ScalarBits value) {
  if (is_float(type)) return as_double(value);
  return type == Scalar::kU64 ? static_cast<double>(static_cast<uint64_t>(value))
                              : static_cast<double>(value);
}

ScalarBits from_double(Scalar type, double value) {
  if (!is_float(type)) return type == Scalar::kBool ? value != 0.0 : float_to_int(type, value);
  if (std::isnan(value)) value = kNan;
  if (type == Scalar::kF32) value = static_cast<float>(value);
  return std::bit_cast<int64_t>(value);
}

ScalarBits from_int(Scalar type, int64_t value) {
  switch (type) {
    case Scalar::kI32:
      return static_cast<int32_t>(value);
    case Scalar::kU32:
      return static_cast<uint32_t>(value);
    case Scalar::kBool:
      return value != 0;
    case Scalar::kF32:
    case Scalar::kF64:
      return cast_value(type, Scalar::kI64, value);
    default:
      return value;
  }
}

ScalarBits apply(ExprOp op, Scalar type, Scalar arg_type, uint32_t slot,
                 std::span<const ScalarBits> args) {
  const ScalarBits a = args[0];
  switch (op) {
    case ExprOp::kSelect:
      return a != 0 ? args[1] : args[2];
    case ExprOp::kCast:
      return cast_value(type, arg_type, a);
    case ExprOp::kNarrow:
      return narrow_value(type, static_cast<DType>(slot), a);
    case ExprOp::kBitcast:
      return bitcast_value(type, arg_type, a);
    case ExprOp::kNot:
      return a == 0;
    case ExprOp::kBitNot:
      return from_int(type, ~a);
    case ExprOp::kIsNan:
      return std::isnan(as_double(a));
    case ExprOp::kIsInf:
      return std::isinf(as_double(a));
    default:
      break;
  }
  if (is_comparison(op)) return compare_values(op, arg_type, a, args[1]);
  if (is_binary(op)) {
    if (is_float(type)) {
      return from_double(type, float_binary(op, as_double(a), as_double(args[1])));
    }
    return from_int(type, int_binary(op, type, a, args[1]));
  }
  if (is_float(type)) return from_double(type, float_unary(op, as_double(a)));
  const bool negative = !is_unsigned(type) && a < 0;
  const auto negated = static_cast<int64_t>(-static_cast<uint64_t>(a));
  switch (op) {
    case ExprOp::kNeg:
      return from_int(type, negated);
    case ExprOp::kAbs:
      return from_int(type, negative ? negated : a);
    case ExprOp::kSign:
      return negative ? -1 : a != 0;
    default:
      return a;
  }
}

ScalarBits reduction_identity(ExprOp op, Scalar type) {
  switch (op) {
    case ExprOp::kReduceProd:
      return from_int(type, 1);
    case ExprOp::kReduceAll:
      return 1;
    case ExprOp::kReduceMin:
      return is_float(type) ? from_double(type, kInf) : highest_int(type);
    case ExprOp::kReduceMax:
      return is_float(type) ? from_double(type, -kInf) : lowest_int(type);
    default:
      return from_int(type, 0);
  }
}

bool arg_replaces(ExprOp op, Scalar type, ScalarBits value, ScalarBits best) {
  const bool last = op == ExprOp::kArgMinLast || op == ExprOp::kArgMaxLast;
  const bool least = op == ExprOp::kArgMinFirst || op == ExprOp::kArgMinLast;
  if (is_float(type)) {
    const bool best_nan = std::isnan(as_double(best));
    if (std::isnan(as_double(value))) return last || !best_nan;
    if (best_nan) return false;
  }
  const ExprOp better =
      least ? (last ? ExprOp::kLe : ExprOp::kLt) : (last ? ExprOp::kGe : ExprOp::kGt);
  return compare_values(better, type, value, best);
}

ScalarBits load_element(DType dtype, const uint8_t* data, int64_t i) {
  const Scalar type = compute_type(dtype);
  if (is_float(type)) return from_double(type, load_float(dtype, data, i));
  return from_int(type, load_int(dtype, data, i));
}

void store_element(DType dtype, Scalar type, uint8_t* data, int64_t i, ScalarBits value) {
  if (is_float(type)) {
    store_float(dtype, data, i, as_double(value));
  } else {
    store_int(dtype, data, i, value);
  }
}

}  // namespace quern
