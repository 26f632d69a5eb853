// Rounding, roots and transcendentals on blocks, with Highway for f32; f64 and the rarer functions
// call the C library. Errors of the f32 functions are below 2 units in the last place, by
// block_math_test.cc. The polynomials are minimax fits made for the ranges that the comments state.
#include <hwy/highway.h>

#include <cmath>

#include "cpu/block_ops.h"

namespace quern {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using F = hn::ScalableTag<float>;
using I = hn::RebindToSigned<F>;
using V = hn::Vec<F>;
using VI = hn::Vec<I>;

V set(float x) { return hn::Set(F(), x); }
// The polynomial with these coefficients, the highest first.
template <class... C>
V poly(V x, float highest, C... others) {
  V y = set(highest);
  ((y = hn::MulAdd(y, x, set(others))), ...);
  return y;
}
// 2^n for -126 <= n <= 127.
V power_of_two(VI n) { return hn::BitCast(F(), hn::ShiftLeft<23>(hn::Add(n, hn::Set(I(), 127)))); }
V keep_nan(V x, V y) { return hn::IfThenElse(hn::IsNaN(x), x, y); }
// Within bounds, NaN as 0: what may be converted to integers.
V clamp(V x, float lower, float upper) {
  const V number = hn::IfThenElseZero(hn::Eq(x, x), x);
  return hn::Min(hn::Max(number, set(lower)), set(upper));
}

constexpr float kLog2E = 1.44269504F;
// ln 2 in two parts; products of the first with n below 2^9 are exact.
constexpr float kLn2High = 0.693359375F;
constexpr float kLn2Low = -2.12194440e-4F;

struct Reduced {
  V tail;  // exp(r) - 1
  VI n;    // exp(x) = 2^n exp(r)
};

// For |x| < 120.
Reduced reduce_exp(V x) {
  const V n = hn::Round(hn::Mul(x, set(kLog2E)));
  V r = hn::NegMulAdd(n, set(kLn2High), x);
  r = hn::NegMulAdd(n, set(kLn2Low), r);
  // exp(r) = 1 + r + r^2 p(r) for |r| <= ln 2 / 2
  const V p = poly(r, 1.395294675603509e-3F, 8.370321244001389e-3F, 4.1666168719530106e-2F,
                   0.16666506230831146F, 0.5F);
  return {hn::MulAdd(hn::Mul(r, r), p, r), hn::ConvertTo(I(), n)};
}

// y 2^n, in two steps so that n may pass the exponent's range.
V scale(V y, VI n) {
  const VI half = hn::ShiftRight<1>(n);
  return hn::Mul(hn::Mul(y, power_of_two(half)), power_of_two(hn::Sub(n, half)));
}

V exp_of(V x) {
  const V clamped = clamp(x, -110.0F, 100.0F);
  const Reduced e = reduce_exp(clamped);
  return keep_nan(x, scale(hn::Add(set(1.0F), e.tail), e.n));
}

V expm1_of(V x) {
  const V clamped = clamp(x, -30.0F, 100.0F);
  const Reduced e = reduce_exp(clamped);
  const V big = scale(hn::Add(set(1.0F), e.tail), e.n);
  const VI n = hn::Min(e.n, hn::Set(I(), 120));
  const V power = power_of_two(n);
  const V small = hn::MulAdd(power, e.tail, hn::Sub(power, set(1.0F)));
  const V y = hn::IfThenElse(hn::Gt(x, set(30.0F)), big, small);
  return hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::Lt(hn::Abs(x), set(1e-10F))), x, y);
}

V log_of(V x) {
  const auto tiny = hn::Lt(x, set(1.17549435e-38F));
  const V scaled = hn::IfThenElse(tiny, hn::Mul(x, set(8388608.0F)), x);
  // x = 2^e (1 + f) with sqrt(1/2) <= 1 + f < sqrt(2)
  const VI bits = hn::BitCast(I(), scaled);
  const VI shifted = hn::Sub(bits, hn::Set(I(), 0x3f3504f3));
  const VI e = hn::Sub(hn::ShiftRight<23>(shifted),
                       hn::IfThenElseZero(hn::RebindMask(I(), tiny), hn::Set(I(), 23)));
  const VI mantissa = hn::Add(hn::And(shifted, hn::Set(I(), 0x7fffff)), hn::Set(I(), 0x3f3504f3));
  const V f = hn::Sub(hn::BitCast(F(), mantissa), set(1.0F));
  const V n = hn::ConvertTo(F(), e);
  // log(1 + f) = f - f^2 / 2 + f^3 p(f)
  const V p = poly(f, 6.914879381656647e-2F, -0.11789418756961823F, 0.11872987449169159F,
                   -0.12384418398141861F, 0.14218665659427643F, -0.16669246554374695F,
                   0.20002226531505585F, -0.24999986588954926F, 0.3333331048488617F);
  const V square = hn::Mul(f, f);
  V y = hn::Mul(hn::Mul(square, f), p);
  y = hn::MulAdd(n, set(kLn2Low), y);
  y = hn::NegMulAdd(set(0.5F), square, y);
  y = hn::Add(f, y);
  y = hn::MulAdd(n, set(kLn2High), y);
  const V inf = set(HUGE_VALF);
  y = hn::IfThenElse(hn::Eq(x, inf), x, y);
  y = hn::IfThenElse(hn::Eq(x, set(0.0F)), hn::Neg(inf), y);
  return hn::IfThenElse(hn::Or(hn::IsNaN(x), hn::Lt(x, set(0.0F))), set(NAN), y);
}

V log1p_of(V x) {
  const V u = hn::Add(set(1.0F), x);
  // log(1 + x) = log(u) + (1 + x - u) / u, where u is 1 + x rounded. Past 2^24 u is x.
  const V lost = hn::Sub(x, hn::Sub(u, set(1.0F)));
  const V y = hn::Add(log_of(u), hn::Div(lost, u));
  const auto plain = hn::Or(hn::Lt(hn::Abs(x), set(1e-8F)), hn::Eq(x, set(HUGE_VALF)));
  return hn::IfThenElse(plain, x, hn::IfThenElse(hn::Eq(x, set(-1.0F)), set(-HUGE_VALF), y));
}

V tanh_of(V x) {
  const V a = hn::Abs(x);
  // tanh(x) = x + x^3 p(x^2) below 0.625, else 1 - 2 / (exp(2 x) + 1)
  const V z = hn::Mul(x, x);
  const V p = poly(z, -5.716997664421797e-3F, 2.065054513514042e-2F, -5.374348536133766e-2F,
                   0.13331490755081177F, -0.3333328366279602F);
  const V small = hn::MulAdd(hn::Mul(x, z), p, x);
  const V e = exp_of(hn::Min(hn::Add(a, a), set(40.0F)));
  const V big = hn::Sub(set(1.0F), hn::Div(set(2.0F), hn::Add(e, set(1.0F))));
  const V y = hn::IfThenElse(hn::Lt(a, set(0.625F)), small, big);
  return keep_nan(x, hn::CopySign(y, x));
}

V erf_of(V x) {
  const V a = hn::Abs(x);
  const V t = hn::Min(a, set(3.95F));
  // erf(x) = x + x p(x^2) below 0.93, else 1 - exp(-t q(t))
  const V p =
      poly(hn::Mul(t, t), -5.964582087472081e-4F, 4.988584201782942e-3F, -2.6763956993818283e-2F,
           0.11281759291887283F, -0.37612488865852356F, 0.12837915122509003F);
  const V small = hn::MulAdd(x, p, x);
  const V q = poly(t, -2.135316317435354e-4F, 3.2113073393702507e-3F, -2.2878577932715416e-2F,
                   0.10524461418390274F, 0.6357309818267822F, 1.1285107135772705F);
  const V big = hn::Sub(set(1.0F), exp_of(hn::Neg(hn::Mul(t, q))));
  const V y = hn::IfThenElse(hn::Lt(a, set(0.93F)), small, hn::CopySign(big, x));
  return keep_nan(x, y);
}

// sin and cos by x = n pi/2 + r in double, which is exact enough below 1e6; past that by the C
// library.
constexpr float kMaxAngle = 1e6F;

constexpr double kTwoOverPi = 0.63661977236758134308;
constexpr double kHalfPiHigh = 1.57079632673412561417e+00;  // 33 bits of pi/2
constexpr double kHalfPiLow = 6.07710050650619224932e-11;

/// x = n pi/2 + r.
void quarter_turns(V x, V& r, VI& n) {
#if HWY_HAVE_FLOAT64
  const hn::RepartitionToWide<F> d;
  const hn::Half<F> half;
  const auto part = [&](auto v) {  // r and n of half a vector
    const auto wide = hn::PromoteTo(d, v);
    const auto turns = hn::Round(hn::Mul(wide, hn::Set(d, kTwoOverPi)));
    auto rest = hn::NegMulAdd(turns, hn::Set(d, kHalfPiHigh), wide);
    rest = hn::NegMulAdd(turns, hn::Set(d, kHalfPiLow), rest);
    return std::pair(hn::DemoteTo(half, rest), hn::DemoteTo(hn::Half<I>(), turns));
  };
  const auto [r0, n0] = part(hn::LowerHalf(half, x));
  const auto [r1, n1] = part(hn::UpperHalf(half, x));
  r = hn::Combine(F(), r1, r0);
  n = hn::Combine(I(), n1, n0);
#else
  // Highway has no vectors of f64 for WebAssembly.
  alignas(64) float rest[HWY_LANES(float)];
  alignas(64) int32_t turns[HWY_LANES(int32_t)];
  hn::StoreU(x, F(), rest);
  for (size_t i = 0; i < hn::Lanes(F()); ++i) {
    const double whole = std::nearbyint(rest[i] * kTwoOverPi);
    turns[i] = static_cast<int32_t>(whole);
    rest[i] = static_cast<float>(rest[i] - whole * kHalfPiHigh - whole * kHalfPiLow);
  }
  r = hn::LoadU(F(), rest);
  n = hn::LoadU(I(), turns);
#endif
}

template <bool kCos>
V sin_or_cos(V angle) {
  const V x = hn::IfThenElseZero(hn::Le(hn::Abs(angle), set(kMaxAngle)), angle);
  V r;
  VI n;
  quarter_turns(x, r, n);
  if constexpr (kCos) n = hn::Add(n, hn::Set(I(), 1));
  const V z = hn::Mul(r, r);
  const V s = hn::MulAdd(hn::Mul(r, z),
                         poly(z, 2.717939651120105e-6F, -1.9839295418933034e-4F,
                              8.333329111337662e-3F, -0.1666666716337204F),
                         r);
  const V c = hn::Add(hn::NegMulAdd(set(0.5F), z, set(1.0F)),
                      hn::Mul(hn::Mul(z, z), poly(z, -2.72068177764595e-7F, 2.4799479433568195e-5F,
                                                  -1.3888883404433727e-3F, 4.16666679084301e-2F)));
  const VI one = hn::Set(I(), 1);
  const V y = hn::IfThenElse(hn::RebindMask(F(), hn::Eq(hn::And(n, one), one)), c, s);
  // The second half of the circle is negative.
  const VI sign = hn::ShiftLeft<30>(hn::And(n, hn::Set(I(), 2)));
  const V result = hn::BitCast(F(), hn::Xor(hn::BitCast(I(), y), sign));
  if constexpr (kCos) return result;
  return hn::IfThenElse(hn::Eq(x, set(0.0F)), x, result);  // keeps the sign of zero
}

template <V (*kFunction)(V)>
void map(const BlockArgs& k) {
  const F f;
  const auto* HWY_RESTRICT a = static_cast<const float*>(k.args[0]);
  auto* HWY_RESTRICT out = static_cast<float*>(k.out);
  for (int i = 0; i < k.count; i += static_cast<int>(hn::Lanes(f))) {
    hn::StoreU(kFunction(hn::LoadU(f, a + i)), f, out + i);
  }
}

template <bool kCos>
void angles(const BlockArgs& k) {
  map<sin_or_cos<kCos>>(k);
  const auto* a = static_cast<const float*>(k.args[0]);
  auto* out = static_cast<float*>(k.out);
  bool large = false;
  for (int i = 0; i < k.count; ++i) large |= !(std::fabs(a[i]) <= kMaxAngle);
  if (!large) return;
  for (int i = 0; i < k.count; ++i) {
    if (!(std::fabs(a[i]) <= kMaxAngle)) out[i] = kCos ? std::cos(a[i]) : std::sin(a[i]);
  }
}

V floor_of(V x) { return hn::Floor(x); }
V ceil_of(V x) { return hn::Ceil(x); }
V round_of(V x) { return hn::Round(x); }
V trunc_of(V x) { return hn::Trunc(x); }
V sqrt_of(V x) { return hn::Sqrt(x); }

template <class T, auto kFunction>
void by_library(const BlockArgs& k) {
  const auto* a = static_cast<const T*>(k.args[0]);
  auto* out = static_cast<T*>(k.out);
  for (int i = 0; i < k.count; ++i) out[i] = kFunction(a[i]);
}

template <class T>
BlockKernel library_kernel(ExprOp op) {
  switch (op) {
    case ExprOp::kFloor:
      return &by_library<T, [](T x) { return std::floor(x); }>;
    case ExprOp::kCeil:
      return &by_library<T, [](T x) { return std::ceil(x); }>;
    case ExprOp::kRound:
      return &by_library<T, [](T x) { return std::nearbyint(x); }>;
    case ExprOp::kTrunc:
      return &by_library<T, [](T x) { return std::trunc(x); }>;
    case ExprOp::kSqrt:
      return &by_library<T, [](T x) { return std::sqrt(x); }>;
    case ExprOp::kExp:
      return &by_library<T, [](T x) { return std::exp(x); }>;
    case ExprOp::kExpm1:
      return &by_library<T, [](T x) { return std::expm1(x); }>;
    case ExprOp::kLog:
      return &by_library<T, [](T x) { return std::log(x); }>;
    case ExprOp::kLog1p:
      return &by_library<T, [](T x) { return std::log1p(x); }>;
    case ExprOp::kSin:
      return &by_library<T, [](T x) { return std::sin(x); }>;
    case ExprOp::kCos:
      return &by_library<T, [](T x) { return std::cos(x); }>;
    case ExprOp::kTan:
      return &by_library<T, [](T x) { return std::tan(x); }>;
    case ExprOp::kAsin:
      return &by_library<T, [](T x) { return std::asin(x); }>;
    case ExprOp::kAcos:
      return &by_library<T, [](T x) { return std::acos(x); }>;
    case ExprOp::kAtan:
      return &by_library<T, [](T x) { return std::atan(x); }>;
    case ExprOp::kSinh:
      return &by_library<T, [](T x) { return std::sinh(x); }>;
    case ExprOp::kCosh:
      return &by_library<T, [](T x) { return std::cosh(x); }>;
    case ExprOp::kTanh:
      return &by_library<T, [](T x) { return std::tanh(x); }>;
    case ExprOp::kAsinh:
      return &by_library<T, [](T x) { return std::asinh(x); }>;
    case ExprOp::kAcosh:
      return &by_library<T, [](T x) { return std::acosh(x); }>;
    case ExprOp::kAtanh:
      return &by_library<T, [](T x) { return std::atanh(x); }>;
    case ExprOp::kErf:
      return &by_library<T, [](T x) { return std::erf(x); }>;
    default:
      return nullptr;
  }
}

}  // namespace

BlockKernel math_kernel(ExprOp op, Scalar type) {
  if (type == Scalar::kF64) return library_kernel<double>(op);
  if (type != Scalar::kF32) return nullptr;
  switch (op) {
    case ExprOp::kFloor:
      return &map<floor_of>;
    case ExprOp::kCeil:
      return &map<ceil_of>;
    case ExprOp::kRound:
      return &map<round_of>;
    case ExprOp::kTrunc:
      return &map<trunc_of>;
    case ExprOp::kSqrt:
      return &map<sqrt_of>;
    case ExprOp::kExp:
      return &map<exp_of>;
    case ExprOp::kExpm1:
      return &map<expm1_of>;
    case ExprOp::kLog:
      return &map<log_of>;
    case ExprOp::kLog1p:
      return &map<log1p_of>;
    case ExprOp::kTanh:
      return &map<tanh_of>;
    case ExprOp::kErf:
      return &map<erf_of>;
    case ExprOp::kSin:
      return &angles<false>;
    case ExprOp::kCos:
      return &angles<true>;
    default:
      return library_kernel<float>(op);
  }
}

}  // namespace quern
