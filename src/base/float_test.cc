#include "base/float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace quern {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(Float, HalfByHand) {
  EXPECT_EQ(float_to_half(1.0f), 0x3c00);
  EXPECT_EQ(float_to_half(-2.0f), 0xc000);
  EXPECT_EQ(float_to_half(65504.0f), 0x7bff);
  EXPECT_EQ(float_to_half(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);  // the tie goes to even, which is infinity
  EXPECT_EQ(float_to_half(0x1p-24f), 0x0001);
  EXPECT_EQ(float_to_half(0x1p-25f), 0x0000);  // tie to even
  EXPECT_EQ(float_to_half(0x1.8p-24f), 0x0002);
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);
  EXPECT_EQ(float_to_half(1.0f + 0x3p-11f), 0x3c02);
  EXPECT_EQ(float_to_half(-0.0f), 0x8000);
  EXPECT_EQ(half_to_float(0x3555), 0.333251953125f);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(half_to_float(0x83ff), -0x3ffp-24f);
  EXPECT_TRUE(std::isinf(half_to_float(0xfc00)));
  EXPECT_TRUE(std::isnan(half_to_float(0x7e01)));
  EXPECT_EQ(float_to_half(std::nanf("")), 0x7e00);
}

TEST(Float, BFloat16ByHand) {
  EXPECT_EQ(float_to_bfloat16(1.0f), 0x3f80);
  EXPECT_EQ(float_to_bfloat16(1.0f + 0x1p-8f), 0x3f80);  // tie to even
  EXPECT_EQ(float_to_bfloat16(1.0f + 0x3p-8f), 0x3f82);
  EXPECT_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(float_to_bfloat16(std::nanf("")), 0x7fc0);
  EXPECT_EQ(bfloat16_to_float(0xc049), -3.140625f);
}

TEST(Float, HalfAgreesWithTheGeneralForm) {
  for (uint32_t code = 0; code < 0x10000; ++code) {
    const double exact = decode(kHalf, code);
    const float fast = half_to_float(static_cast<uint16_t>(code));
    if (std::isnan(exact)) {
      EXPECT_TRUE(std::isnan(fast));
      continue;
    }
    ASSERT_EQ(fast, exact) << code;
    ASSERT_EQ(encode(kHalf, exact), code);
    ASSERT_EQ(float_to_half(fast), code);
    // Halfway to the next number, and a little to either side.
    const double next = decode(kHalf, code + 1);
    if (!std::isfinite(next) || !std::isfinite(exact)) continue;
    const auto middle = static_cast<float>((exact + next) / 2);
    for (const float value :
         {middle, std::nextafter(middle, -1e9f), std::nextafter(middle, 1e9f)}) {
      ASSERT_EQ(float_to_half(value), encode(kHalf, value)) << code;
      ASSERT_EQ(float_to_bfloat16(value), encode(kBFloat16, value)) << code;
    }
  }
}

TEST(Float, AllSmallCodesReadBack) {
  for (const SmallFloat* format :
       {&kFloat8E4M3FN, &kFloat8E4M3FNUZ, &kFloat8E5M2, &kFloat8E5M2FNUZ, &kFloat4E2M1}) {
    for (uint32_t code = 0; code < 1u << format->bits; ++code) {
      const double value = decode(*format, code);
      if (std::isfinite(value)) {
        EXPECT_EQ(encode(*format, value), code);
      }
    }
  }
}

TEST(Float, Float8ByHand) {
  EXPECT_EQ(decode(kFloat8E4M3FN, 0x7e), 448);
  EXPECT_EQ(decode(kFloat8E4M3FN, 0x01), 0x1p-9);
  EXPECT_TRUE(std::isnan(decode(kFloat8E4M3FN, 0xff)));
  EXPECT_EQ(decode(kFloat8E4M3FNUZ, 0x7f), 240);
  EXPECT_EQ(decode(kFloat8E4M3FNUZ, 0x01), 0x1p-10);
  EXPECT_TRUE(std::isnan(decode(kFloat8E4M3FNUZ, 0x80)));
  EXPECT_EQ(decode(kFloat8E5M2, 0x7b), 57344);
  EXPECT_EQ(decode(kFloat8E5M2, 0xfc), -kInf);
  EXPECT_TRUE(std::isnan(decode(kFloat8E5M2, 0x7d)));
  EXPECT_EQ(decode(kFloat8E5M2FNUZ, 0x7f), 57344);
  EXPECT_EQ(decode(kFloat8E5M2FNUZ, 0x01), 0x1p-17);
}

TEST(Float, Float8Saturates) {
  EXPECT_EQ(encode(kFloat8E4M3FN, 1e6), 0x7eu);
  EXPECT_EQ(encode(kFloat8E4M3FN, -kInf), 0xfeu);
  EXPECT_EQ(encode(kFloat8E4M3FN, 464), 0x7eu);
  EXPECT_EQ(encode(kFloat8E4M3FN, kNan), 0x7fu);
  EXPECT_EQ(encode(kFloat8E4M3FN, -0.0), 0x80u);
  EXPECT_EQ(encode(kFloat8E4M3FNUZ, -0.0), 0x00u);
  EXPECT_EQ(encode(kFloat8E4M3FNUZ, -1e-9), 0x00u);
  EXPECT_EQ(encode(kFloat8E4M3FNUZ, kNan), 0x80u);
  EXPECT_EQ(encode(kFloat8E4M3FNUZ, -1e300), 0xffu);
  EXPECT_EQ(encode(kFloat8E5M2, 1e9), 0x7bu);
  EXPECT_EQ(encode(kFloat8E5M2, kInf), 0x7cu);
  EXPECT_EQ(encode(kFloat8E5M2, -kInf), 0xfcu);
  EXPECT_EQ(encode(kFloat8E5M2, 61440), 0x7bu);
  EXPECT_EQ(encode(kFloat8E5M2FNUZ, kInf), 0x7fu);
  EXPECT_EQ(encode(kFloat8E5M2, 1.125), 0x3cu);  // tie to even
  EXPECT_EQ(encode(kFloat8E5M2, 1.375), 0x3eu);
}

TEST(Float, Float4ByHand) {
  const double values[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (uint32_t code = 0; code < 8; ++code) {
    EXPECT_EQ(decode(kFloat4E2M1, code), values[code]);
    EXPECT_EQ(decode(kFloat4E2M1, code | 8), -values[code]);
  }
  EXPECT_EQ(encode(kFloat4E2M1, 5), 6u);  // tie to even
  EXPECT_EQ(encode(kFloat4E2M1, 2.5), 4u);
  EXPECT_EQ(encode(kFloat4E2M1, 0.25), 0u);
  EXPECT_EQ(encode(kFloat4E2M1, -100), 15u);
  EXPECT_EQ(encode(kFloat4E2M1, kInf), 7u);
  EXPECT_EQ(encode(kFloat4E2M1, kNan), 7u);
}

TEST(Float, Float8E8M0) {
  for (int code = 0; code < 255; ++code) {
    EXPECT_EQ(decode_float8_e8m0(static_cast<uint8_t>(code)), std::ldexp(1.0, code - 127));
    EXPECT_EQ(encode_float8_e8m0(std::ldexp(1.0, code - 127)), code);
  }
  EXPECT_TRUE(std::isnan(decode_float8_e8m0(255)));
  EXPECT_EQ(encode_float8_e8m0(3), 129);  // up to 4
  EXPECT_EQ(encode_float8_e8m0(-3), 129);
  EXPECT_EQ(encode_float8_e8m0(0), 0);
  EXPECT_EQ(encode_float8_e8m0(1e300), 254);
  EXPECT_EQ(encode_float8_e8m0(kNan), 255);
}

}  // namespace
}  // namespace quern
