#include "ir/expr_ops.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

namespace quern {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

double f32(ExprOp op, double a, double b = 0) {
  const ScalarBits args[] = {from_double(Scalar::kF32, a), from_double(Scalar::kF32, b)};
  return to_double(Scalar::kF32, apply(op, Scalar::kF32, Scalar::kF32, 0,
                                       {args, is_unary(op) ? size_t{1} : size_t{2}}));
}
int64_t ints(ExprOp op, Scalar type, int64_t a, int64_t b = 0) {
  const ScalarBits args[] = {from_int(type, a), from_int(type, b)};
  return apply(op, result_type(op, type), type, 0, {args, is_unary(op) ? size_t{1} : size_t{2}});
}
ScalarBits cast(Scalar to, Scalar from, double v) {
  const ScalarBits args[] = {from_double(from, v)};
  return apply(ExprOp::kCast, to, from, 0, args);
}

TEST(ExprOps, FloatUnary) {
  EXPECT_EQ(f32(ExprOp::kRound, 2.5), 2);
  EXPECT_EQ(f32(ExprOp::kRound, -3.5), -4);
  EXPECT_EQ(f32(ExprOp::kTrunc, -2.7), -2);
  EXPECT_EQ(f32(ExprOp::kFloor, -2.1), -3);
  EXPECT_EQ(f32(ExprOp::kCeil, -2.9), -2);
  EXPECT_EQ(f32(ExprOp::kSign, -7), -1);
  EXPECT_EQ(f32(ExprOp::kSign, 0), 0);
  EXPECT_TRUE(std::isnan(f32(ExprOp::kSign, kNan)));
  EXPECT_EQ(f32(ExprOp::kExp, 1), static_cast<float>(std::exp(1.0)));
  EXPECT_EQ(f32(ExprOp::kErf, 0.5), static_cast<float>(std::erf(0.5)));
  EXPECT_TRUE(std::isnan(f32(ExprOp::kSqrt, -1)));
  EXPECT_EQ(f32(ExprOp::kLog, 0), -kInf);
  EXPECT_EQ(f32(ExprOp::kNeg, 2), -2);
  EXPECT_EQ(f32(ExprOp::kAbs, -2), 2);
}

TEST(ExprOps, FloatBinary) {
  EXPECT_TRUE(std::isnan(f32(ExprOp::kMin, kNan, 1)));
  EXPECT_TRUE(std::isnan(f32(ExprOp::kMax, 1, kNan)));
  EXPECT_EQ(f32(ExprOp::kMax, 1, -kInf), 1);
  EXPECT_EQ(f32(ExprOp::kRem, -7, 3), -1);
  EXPECT_EQ(f32(ExprOp::kMod, -7, 3), 2);
  EXPECT_EQ(f32(ExprOp::kMod, 7, -3), -2);
  EXPECT_TRUE(std::signbit(f32(ExprOp::kMod, 6, -3)));
  EXPECT_TRUE(std::isnan(f32(ExprOp::kMod, 6, 0)));
  EXPECT_EQ(f32(ExprOp::kPow, -2, 3), -8);
  EXPECT_EQ(f32(ExprOp::kDiv, 1, 0), kInf);
  EXPECT_EQ(f32(ExprOp::kAdd, 16777216, 1), 16777216);  // rounded to f32
  EXPECT_EQ(f32(ExprOp::kAtan2, 1, 1), static_cast<float>(M_PI / 4));
}

TEST(ExprOps, IntegersWrapAndNeverTrap) {
  for (Scalar t : {Scalar::kI32, Scalar::kI64}) {
    const int64_t low = t == Scalar::kI32 ? INT32_MIN : INT64_MIN;
    EXPECT_EQ(ints(ExprOp::kDiv, t, low, -1), low);
    EXPECT_EQ(ints(ExprOp::kRem, t, low, -1), 0);
    EXPECT_EQ(ints(ExprOp::kMod, t, low, -1), 0);
    EXPECT_EQ(ints(ExprOp::kAbs, t, low), low);
    EXPECT_EQ(ints(ExprOp::kNeg, t, low), low);
    EXPECT_EQ(ints(ExprOp::kAdd, t, ~low, 1), low);
    EXPECT_EQ(ints(ExprOp::kDiv, t, -7, 2), -3);
    EXPECT_EQ(ints(ExprOp::kRem, t, -7, 2), -1);
    EXPECT_EQ(ints(ExprOp::kMod, t, -7, 2), 1);
    EXPECT_EQ(ints(ExprOp::kMod, t, 7, -2), -1);
    EXPECT_EQ(ints(ExprOp::kSign, t, -7), -1);
    EXPECT_EQ(ints(ExprOp::kPow, t, -2, 3), -8);
    EXPECT_EQ(ints(ExprOp::kPow, t, 2, -1), 0);
    EXPECT_EQ(ints(ExprOp::kPow, t, -1, -3), -1);
    EXPECT_EQ(ints(ExprOp::kShr, t, -8, 100), -1);
    EXPECT_EQ(ints(ExprOp::kShl, t, 1, 100), 0);
    EXPECT_EQ(ints(ExprOp::kShl, t, 1, -1), 0);
    EXPECT_EQ(ints(ExprOp::kLt, t, -1, 0), 1);
  }
  for (Scalar t : {Scalar::kU32, Scalar::kU64}) {
    EXPECT_EQ(ints(ExprOp::kDiv, t, -1, 0), 0);
    EXPECT_EQ(ints(ExprOp::kMod, t, 7, 0), 0);
    EXPECT_EQ(ints(ExprOp::kLt, t, -1, 0), 0);  // the largest value
    EXPECT_EQ(ints(ExprOp::kMax, t, -1, 0), from_int(t, -1));
    EXPECT_EQ(ints(ExprOp::kShr, t, -1, t == Scalar::kU32 ? 31 : 63), 1);
    EXPECT_EQ(ints(ExprOp::kShr, t, -1, 64), 0);
    EXPECT_EQ(ints(ExprOp::kSign, t, -1), 1);
  }
  EXPECT_EQ(ints(ExprOp::kAdd, Scalar::kU32, -1, 2), 1);
  EXPECT_EQ(ints(ExprOp::kMul, Scalar::kI32, 65536, 65536), 0);
  EXPECT_EQ(ints(ExprOp::kBitNot, Scalar::kU32, 0), UINT32_MAX);
  EXPECT_EQ(ints(ExprOp::kBitXor, Scalar::kI32, 6, 3), 5);
}

TEST(ExprOps, CastsSaturateTruncateAndMapNanToZero) {
  for (Scalar from : {Scalar::kF32, Scalar::kF64}) {
    EXPECT_EQ(cast(Scalar::kI32, from, -2.9), -2);
    EXPECT_EQ(cast(Scalar::kI32, from, 1e20), INT32_MAX);
    EXPECT_EQ(cast(Scalar::kI32, from, -1e20), INT32_MIN);
    EXPECT_EQ(cast(Scalar::kU32, from, -5), 0);
    EXPECT_EQ(cast(Scalar::kU32, from, 1e20), UINT32_MAX);
    EXPECT_EQ(cast(Scalar::kI64, from, 1e20), INT64_MAX);
    EXPECT_EQ(cast(Scalar::kI64, from, -kInf), INT64_MIN);
    EXPECT_EQ(static_cast<uint64_t>(cast(Scalar::kU64, from, 1e20)), UINT64_MAX);
    EXPECT_EQ(static_cast<uint64_t>(cast(Scalar::kU64, from, 0x1p63)), uint64_t{1} << 63);
    for (Scalar to : {Scalar::kI32, Scalar::kU32, Scalar::kI64, Scalar::kU64}) {
      EXPECT_EQ(cast(to, from, kNan), 0);
    }
    EXPECT_EQ(cast(Scalar::kBool, from, 0.5), 1);
    EXPECT_EQ(cast(Scalar::kBool, from, -0.0), 0);
  }
  const ScalarBits big[] = {(int64_t{1} << 60) + 1};
  EXPECT_EQ(to_double(Scalar::kF32, apply(ExprOp::kCast, Scalar::kF32, Scalar::kI64, 0, big)),
            0x1p60);
  EXPECT_EQ(apply(ExprOp::kCast, Scalar::kI32, Scalar::kI64, 0, big), 1);
  const ScalarBits minus[] = {-1};
  EXPECT_EQ(apply(ExprOp::kCast, Scalar::kU64, Scalar::kI32, 0, minus), -1);
  EXPECT_EQ(apply(ExprOp::kCast, Scalar::kU32, Scalar::kI32, 0, minus), UINT32_MAX);
}

TEST(ExprOps, NarrowRoundsOrWraps) {
  const auto narrow = [](DType dtype, Scalar type, ScalarBits v) {
    const ScalarBits args[] = {v};
    return apply(ExprOp::kNarrow, type, type, static_cast<uint32_t>(dtype), args);
  };
  EXPECT_EQ(narrow(DType::kI8, Scalar::kI32, 200), -56);
  EXPECT_EQ(narrow(DType::kU8, Scalar::kU32, 300), 44);
  EXPECT_EQ(narrow(DType::kI4, Scalar::kI32, 9), -7);
  EXPECT_EQ(
      to_double(Scalar::kF32, narrow(DType::kF16, Scalar::kF32, from_double(Scalar::kF32, 2049))),
      2048);
  EXPECT_EQ(
      to_double(Scalar::kF32, narrow(DType::kBF16, Scalar::kF32, from_double(Scalar::kF32, 257))),
      256);
}

TEST(ExprOps, BitcastKeepsBits) {
  const ScalarBits one[] = {from_double(Scalar::kF32, 1.0)};
  EXPECT_EQ(apply(ExprOp::kBitcast, Scalar::kI32, Scalar::kF32, 0, one), 0x3f800000);
  const ScalarBits minus_zero[] = {from_double(Scalar::kF32, -0.0)};
  EXPECT_EQ(apply(ExprOp::kBitcast, Scalar::kU32, Scalar::kF32, 0, minus_zero), 0x80000000);
  EXPECT_EQ(apply(ExprOp::kBitcast, Scalar::kI32, Scalar::kF32, 0, minus_zero), INT32_MIN);
  const ScalarBits bits[] = {0x40490fdb};
  EXPECT_EQ(to_double(Scalar::kF32, apply(ExprOp::kBitcast, Scalar::kF32, Scalar::kU32, 0, bits)),
            static_cast<float>(M_PI));
  const ScalarBits wide[] = {std::bit_cast<int64_t>(2.5)};
  EXPECT_EQ(apply(ExprOp::kBitcast, Scalar::kI64, Scalar::kF64, 0, wide), wide[0]);
}

TEST(ExprOps, ArgReductionsPreferNan) {
  const auto bits = [](double v) { return from_double(Scalar::kF32, v); };
  EXPECT_TRUE(arg_replaces(ExprOp::kArgMaxFirst, Scalar::kF32, bits(2), bits(1)));
  EXPECT_FALSE(arg_replaces(ExprOp::kArgMaxFirst, Scalar::kF32, bits(1), bits(1)));
  EXPECT_TRUE(arg_replaces(ExprOp::kArgMaxLast, Scalar::kF32, bits(1), bits(1)));
  EXPECT_TRUE(arg_replaces(ExprOp::kArgMinFirst, Scalar::kF32, bits(kNan), bits(1)));
  EXPECT_FALSE(arg_replaces(ExprOp::kArgMinFirst, Scalar::kF32, bits(0), bits(kNan)));
  EXPECT_FALSE(arg_replaces(ExprOp::kArgMinFirst, Scalar::kF32, bits(kNan), bits(kNan)));
  EXPECT_TRUE(arg_replaces(ExprOp::kArgMinLast, Scalar::kF32, bits(kNan), bits(kNan)));
  EXPECT_TRUE(arg_replaces(ExprOp::kArgMaxFirst, Scalar::kU64, -1, 5));
}

TEST(ExprOps, Parameters) {
  EXPECT_EQ(to_double(Scalar::kF32, param_value(Scalar::kF32, 0x3f000000)), 0.5);
  EXPECT_EQ(to_double(Scalar::kF64, param_value(Scalar::kF64, std::bit_cast<int64_t>(0.1))), 0.1);
  EXPECT_EQ(param_value(Scalar::kI32, -4), -4);
  EXPECT_EQ(param_value(Scalar::kU32, -4), UINT32_MAX - 3);
}

}  // namespace
}  // namespace quern
