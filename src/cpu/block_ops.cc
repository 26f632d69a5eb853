#include "cpu/block_ops.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include "cpu/block_convert.h"
#include "ir/tensor.h"

namespace quern {
namespace {

// The functions below are captureless lambdas given as template arguments, so each instance is one
// loop that the compiler sees whole. Counts are multiples of kBlockStep: no scalar remainder.
template <class R, class A, auto kFunction>
void map1(const BlockArgs& k) {
  auto* __restrict out = static_cast<R*>(k.out);
  const auto* __restrict a = static_cast<const A*>(k.args[0]);
  const int count = k.count & -kBlockStep;
  for (int i = 0; i < count; ++i) out[i] = kFunction(a[i]);
}

template <class R, class A, auto kFunction>
void map2(const BlockArgs& k) {
  auto* __restrict out = static_cast<R*>(k.out);
  const auto* __restrict a = static_cast<const A*>(k.args[0]);
  const auto* __restrict b = static_cast<const A*>(k.args[1]);
  const int count = k.count & -kBlockStep;
  for (int i = 0; i < count; ++i) out[i] = kFunction(a[i], b[i]);
}

template <class T>
void select(const BlockArgs& k) {
  auto* __restrict out = static_cast<T*>(k.out);
  const auto* __restrict c = static_cast<const uint8_t*>(k.args[0]);
  const auto* __restrict a = static_cast<const T*>(k.args[1]);
  const auto* __restrict b = static_cast<const T*>(k.args[2]);
  const int count = k.count & -kBlockStep;
  for (int i = 0; i < count; ++i) out[i] = c[i] != 0 ? a[i] : b[i];
}

template <class T>
T float_min(T a, T b) {
  const T least = b < a ? b : a;
  return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : least;
}
template <class T>
T float_max(T a, T b) {
  const T most = b > a ? b : a;
  return a != a || b != b ? std::numeric_limits<T>::quiet_NaN() : most;
}
template <class T>
T float_mod(T a, T b) {
  const T r = std::fmod(a, b);
  if (r == 0) return std::copysign(T{0}, b);
  return (r < 0) != (b < 0) ? r + b : r;
}

// Integers wrap: they are computed unsigned.
template <class T>
using Unsigned = std::make_unsigned_t<T>;
template <class T>
T int_neg(T a) {
  return static_cast<T>(Unsigned<T>{0} - static_cast<Unsigned<T>>(a));
}
template <class T>
T int_abs(T a) {
  return a < 0 ? int_neg(a) : a;
}
template <class T>
T int_add(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) + static_cast<Unsigned<T>>(b));
}
template <class T>
T int_sub(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) - static_cast<Unsigned<T>>(b));
}
template <class T>
T int_mul(T a, T b) {
  return static_cast<T>(static_cast<Unsigned<T>>(a) * static_cast<Unsigned<T>>(b));
}
// 32-bit quotients are exact in double, and doubles divide in SIMD.
template <class T>
T int_div(T a, T b) {
  if constexpr (sizeof(T) == 4 && std::is_signed_v<T>) {
    const T divisor = b == 0 || b == -1 ? 1 : b;
    const auto q = static_cast<T>(static_cast<double>(a) / static_cast<double>(divisor));
    return b == 0 ? 0 : b == -1 ? int_neg(a) : q;
  } else if constexpr (sizeof(T) == 4) {
    const auto q = static_cast<T>(static_cast<double>(a) / static_cast<double>(b == 0 ? 1 : b));
    return b == 0 ? 0 : q;
  } else {
    if (b == 0) return 0;
    if constexpr (std::is_signed_v<T>) {
      if (b == -1) return int_neg(a);
    }
    return a / b;
  }
}
template <class T>
T int_rem(T a, T b) {
  return b == 0 ? 0 : int_sub(a, int_mul(int_div(a, b), b));
}
template <class T>
T int_mod(T a, T b) {
  const T r = int_rem(a, b);
  if constexpr (std::is_signed_v<T>) return r != 0 && (r ^ b) < 0 ? r + b : r;
  return r;
}
template <class T>
T int_pow(T base, T exponent) {
  using U = Unsigned<T>;
  if constexpr (std::is_signed_v<T>) {
    if (exponent < 0) {
      const T odd = (exponent & 1) != 0 ? T{-1} : T{1};
      return base == 1 ? 1 : base == -1 ? odd : 0;
    }
  }
  U result = 1;
  U square = static_cast<U>(base);
  for (auto e = static_cast<U>(exponent); e != 0; e >>= 1) {
    if ((e & 1) != 0) result *= square;
    square *= square;
  }
  return static_cast<T>(result);
}
template <class T>
T shift_left(T a, T b) {
  using U = Unsigned<T>;
  constexpr U width = sizeof(T) * 8;
  const auto n = static_cast<U>(b);
  const U shifted = static_cast<U>(a) << (n < width ? n : 0);
  return n < width ? static_cast<T>(shifted) : 0;
}
template <class T>
T shift_right(T a, T b) {
  using U = Unsigned<T>;
  constexpr U width = sizeof(T) * 8;
  const auto n = static_cast<U>(b);
  if constexpr (std::is_signed_v<T>) return a >> (n < width ? n : width - 1);
  return n < width ? a >> (n < width ? n : 0) : 0;
}

template <class To, class From>
To convert(From v) {
  if constexpr (std::is_same_v<To, bool> || !std::is_floating_point_v<From> ||
                std::is_floating_point_v<To>) {
    return static_cast<To>(v);
  } else {
    constexpr From low =
        std::is_signed_v<To> ? -static_cast<From>(uint64_t{1} << (sizeof(To) * 8 - 1)) : From{0};
    constexpr From past = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * 2;
    if (v != v) return 0;
    if (v <= low) return std::numeric_limits<To>::min();
    return v >= past ? std::numeric_limits<To>::max() : static_cast<To>(v);
  }
}

template <class To, class From>
void cast(const BlockArgs& k) {
  auto* __restrict out = static_cast<To*>(k.out);
  const auto* __restrict a = static_cast<const From*>(k.args[0]);
  const int count = k.count & -kBlockStep;
  for (int i = 0; i < count; ++i) out[i] = convert<To>(a[i]);
}
template <class From>
void cast_to_bool(const BlockArgs& k) {
  auto* __restrict out = static_cast<uint8_t*>(k.out);
  const auto* __restrict a = static_cast<const From*>(k.args[0]);
  const int count = k.count & -kBlockStep;
  for (int i = 0; i < count; ++i) out[i] = a[i] != 0 ? 1 : 0;
}

template <class From>
BlockKernel cast_from(Scalar to) {
  switch (to) {
    case Scalar::kF32:
      return &cast<float, From>;
    case Scalar::kF64:
      return &cast<double, From>;
    case Scalar::kI32:
      return &cast<int32_t, From>;
    case Scalar::kU32:
      return &cast<uint32_t, From>;
    case Scalar::kI64:
      return &cast<int64_t, From>;
    case Scalar::kU64:
      return &cast<uint64_t, From>;
    default:
      return &cast_to_bool<From>;
  }
}

template <class T>
void copy_bits(const BlockArgs& k) {
  std::memcpy(k.out, k.args[0], static_cast<size_t>(k.count) * sizeof(T));
}

// To the element type `slot`: integers by shifting the high bits away.
template <class T>
void narrow_ints(const BlockArgs& k) {
  const auto dtype = static_cast<DType>(k.slot);
  auto* __restrict out = static_cast<T*>(k.out);
  const auto* __restrict a = static_cast<const T*>(k.args[0]);
  using U = Unsigned<T>;
  using S = std::make_signed_t<T>;
  const int bits = std::min<int>(bit_width(dtype), sizeof(T) * 8);
  const int shift = static_cast<int>(sizeof(T)) * 8 - bits;
  const int count = k.count & -kBlockStep;
  if (is_signed_int(dtype)) {
    for (int i = 0; i < count; ++i) {
      out[i] = static_cast<T>(static_cast<S>(static_cast<U>(a[i]) << shift) >> shift);
    }
  } else {
    for (int i = 0; i < count; ++i) out[i] = static_cast<T>(static_cast<U>(a[i]) << shift >> shift);
  }
}

template <class T>
void narrow_floats(const BlockArgs& k) {
  const auto dtype = static_cast<DType>(k.slot);
  if (std::is_same_v<T, float> && bit_width(dtype) <= 32) {
    uint8_t stored[kBlock * sizeof(float)];
    store_run(dtype, k.args[0], stored, 0, k.count);
    return load_run(dtype, stored, 0, 1, k.count, k.out);
  }
  auto* out = static_cast<T*>(k.out);
  const auto* a = static_cast<const T*>(k.args[0]);
  uint8_t bytes[8] = {};
  for (int i = 0; i < k.count; ++i) {
    store_float(dtype, bytes, 0, static_cast<double>(a[i]));
    out[i] = static_cast<T>(load_float(dtype, bytes, 0));
  }
}

template <class T>
BlockKernel compare_kernel(ExprOp op) {
  switch (op) {
    case ExprOp::kEq:
      return &map2<uint8_t, T, [](T a, T b) -> uint8_t { return a == b; }>;
    case ExprOp::kNe:
      return &map2<uint8_t, T, [](T a, T b) -> uint8_t { return a != b; }>;
    case ExprOp::kLt:
      return &map2<uint8_t, T, [](T a, T b) -> uint8_t { return a < b; }>;
    case ExprOp::kLe:
      return &map2<uint8_t, T, [](T a, T b) -> uint8_t { return a <= b; }>;
    case ExprOp::kGt:
      return &map2<uint8_t, T, [](T a, T b) -> uint8_t { return a > b; }>;
    case ExprOp::kGe:
      return &map2<uint8_t, T, [](T a, T b) -> uint8_t { return a >= b; }>;
    default:
      return nullptr;
  }
}

template <class T>
BlockKernel float_kernel(ExprOp op) {
  switch (op) {
    case ExprOp::kNeg:
      return &map1<T, T, [](T a) { return -a; }>;
    case ExprOp::kAbs:
      return &map1<T, T, [](T a) { return std::fabs(a); }>;
    case ExprOp::kSign:
      return &map1<T, T, [](T a) { return a != a ? a : static_cast<T>((a > 0) - (a < 0)); }>;
    case ExprOp::kIsNan:
      return &map1<uint8_t, T, [](T a) -> uint8_t { return a != a; }>;
    case ExprOp::kIsInf:
      return &map1<uint8_t, T, [](T a) -> uint8_t {
        return std::fabs(a) == std::numeric_limits<T>::infinity();
      }>;
    case ExprOp::kAdd:
      return &map2<T, T, [](T a, T b) { return a + b; }>;
    case ExprOp::kSub:
      return &map2<T, T, [](T a, T b) { return a - b; }>;
    case ExprOp::kMul:
      return &map2<T, T, [](T a, T b) { return a * b; }>;
    case ExprOp::kDiv:
      return &map2<T, T, [](T a, T b) { return a / b; }>;
    case ExprOp::kRem:
      return &map2<T, T, [](T a, T b) { return std::fmod(a, b); }>;
    case ExprOp::kMod:
      return &map2<T, T, float_mod<T>>;
    case ExprOp::kPow:
      return &map2<T, T, [](T a, T b) { return std::pow(a, b); }>;
    case ExprOp::kMin:
      return &map2<T, T, float_min<T>>;
    case ExprOp::kMax:
      return &map2<T, T, float_max<T>>;
    case ExprOp::kAtan2:
      return &map2<T, T, [](T a, T b) { return std::atan2(a, b); }>;
    case ExprOp::kNarrow:
      return &narrow_floats<T>;
    default:
      return compare_kernel<T>(op);
  }
}

template <class T>
BlockKernel int_kernel(ExprOp op) {
  switch (op) {
    case ExprOp::kNeg:
      return &map1<T, T, int_neg<T>>;
    case ExprOp::kAbs:
      return &map1<T, T, int_abs<T>>;
    case ExprOp::kSign:
      return &map1<T, T, [](T a) { return static_cast<T>((a > 0) - (a < 0)); }>;
    case ExprOp::kBitNot:
      return &map1<T, T, [](T a) { return static_cast<T>(~a); }>;
    case ExprOp::kAdd:
      return &map2<T, T, int_add<T>>;
    case ExprOp::kSub:
      return &map2<T, T, int_sub<T>>;
    case ExprOp::kMul:
      return &map2<T, T, int_mul<T>>;
    case ExprOp::kDiv:
      return &map2<T, T, int_div<T>>;
    case ExprOp::kRem:
      return &map2<T, T, int_rem<T>>;
    case ExprOp::kMod:
      return &map2<T, T, int_mod<T>>;
    case ExprOp::kPow:
      return &map2<T, T, int_pow<T>>;
    case ExprOp::kMin:
      return &map2<T, T, [](T a, T b) { return b < a ? b : a; }>;
    case ExprOp::kMax:
      return &map2<T, T, [](T a, T b) { return b > a ? b : a; }>;
    case ExprOp::kBitAnd:
      return &map2<T, T, [](T a, T b) { return static_cast<T>(a & b); }>;
    case ExprOp::kBitOr:
      return &map2<T, T, [](T a, T b) { return static_cast<T>(a | b); }>;
    case ExprOp::kBitXor:
      return &map2<T, T, [](T a, T b) { return static_cast<T>(a ^ b); }>;
    case ExprOp::kShl:
      return &map2<T, T, shift_left<T>>;
    case ExprOp::kShr:
      return &map2<T, T, shift_right<T>>;
    case ExprOp::kNarrow:
      return &narrow_ints<T>;
    default:
      return compare_kernel<T>(op);
  }
}

BlockKernel bool_kernel(ExprOp op) {
  using B = uint8_t;
  switch (op) {
    case ExprOp::kNot:
      return &map1<B, B, [](B a) -> B { return a ^ 1; }>;
    case ExprOp::kAnd:
      return &map2<B, B, [](B a, B b) -> B { return a & b; }>;
    case ExprOp::kOr:
      return &map2<B, B, [](B a, B b) -> B { return a | b; }>;
    case ExprOp::kXor:
      return &map2<B, B, [](B a, B b) -> B { return a ^ b; }>;
    default:
      return compare_kernel<B>(op);
  }
}

BlockKernel cast_kernel(Scalar to, Scalar from) {
  switch (from) {
    case Scalar::kF32:
      return cast_from<float>(to);
    case Scalar::kF64:
      return cast_from<double>(to);
    case Scalar::kI32:
      return cast_from<int32_t>(to);
    case Scalar::kU32:
      return cast_from<uint32_t>(to);
    case Scalar::kI64:
      return cast_from<int64_t>(to);
    case Scalar::kU64:
      return cast_from<uint64_t>(to);
    default:
      return cast_from<uint8_t>(to);
  }
}

template <class T>
void fill(void* out, T value, int count) {
  auto* to = static_cast<T*>(out);
  for (int i = 0; i < count; ++i) to[i] = value;
}

}  // namespace

BlockKernel block_kernel(ExprOp op, Scalar type, Scalar arg_type) {
  const int width = register_width(type);
  if (op == ExprOp::kCast) return cast_kernel(type, arg_type);
  if (op == ExprOp::kBitcast) return width == 8 ? &copy_bits<uint64_t> : &copy_bits<uint32_t>;
  if (op == ExprOp::kSelect) {
    return width == 8 ? &select<uint64_t> : width == 4 ? &select<uint32_t> : &select<uint8_t>;
  }
  if (const BlockKernel math = math_kernel(op, arg_type)) return math;
  switch (arg_type) {
    case Scalar::kF32:
      return float_kernel<float>(op);
    case Scalar::kF64:
      return float_kernel<double>(op);
    case Scalar::kI32:
      return int_kernel<int32_t>(op);
    case Scalar::kU32:
      return int_kernel<uint32_t>(op);
    case Scalar::kI64:
      return int_kernel<int64_t>(op);
    case Scalar::kU64:
      return int_kernel<uint64_t>(op);
    default:
      return bool_kernel(op);
  }
}

float kernel_cost(ExprOp op, Scalar type) {
  const float wide = width_of(type) == 64 ? 2.0F : 1.0F;
  switch (op) {
    case ExprOp::kPow:
    case ExprOp::kAtan2:
    case ExprOp::kRem:
    case ExprOp::kMod:
      return is_float(type) ? 15.0F : 1.0F * wide;
    case ExprOp::kTan:
    case ExprOp::kAsin:
    case ExprOp::kAcos:
    case ExprOp::kAtan:
    case ExprOp::kSinh:
    case ExprOp::kCosh:
    case ExprOp::kAsinh:
    case ExprOp::kAcosh:
    case ExprOp::kAtanh:
      return 10.0F;
    case ExprOp::kExp:
    case ExprOp::kExpm1:
    case ExprOp::kLog:
    case ExprOp::kLog1p:
    case ExprOp::kSin:
    case ExprOp::kCos:
    case ExprOp::kTanh:
    case ExprOp::kErf:
      return type == Scalar::kF32 ? 1.0F : 10.0F;
    case ExprOp::kNarrow:
      return is_float(type) ? 2.0F : 0.1F * wide;
    case ExprOp::kDiv:
      return 0.5F * wide;
    default:
      return 0.1F * wide;
  }
}

void fill_block(Scalar type, void* out, ScalarBits value, int count) {
  if (type == Scalar::kF32) {
    fill(out, static_cast<float>(std::bit_cast<double>(value)), count);
  } else if (type == Scalar::kBool) {
    fill(out, static_cast<uint8_t>(value), count);
  } else if (width_of(type) == 64) {
    fill(out, value, count);
  } else {
    fill(out, static_cast<uint32_t>(value), count);
  }
}

void splat_block(Scalar type, void* out, const void* block, int i, int count) {
  switch (register_width(type)) {
    case 8:
      return fill(out, static_cast<const uint64_t*>(block)[i], count);
    case 4:
      return fill(out, static_cast<const uint32_t*>(block)[i], count);
    default:
      return fill(out, static_cast<const uint8_t*>(block)[i], count);
  }
}

}  // namespace quern
