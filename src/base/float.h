// Conversions between the small floating-point formats and float or double.
#pragma once

#include <bit>
#include <cstdint>

namespace quern {

inline float half_to_float(uint16_t half) {
  // The exponent and mantissa moved up are the number times 2^-112; multiplying by 2^112 sets
  // the exponent right, subnormals included. Infinities and NaNs need the top exponent.
  const uint32_t magnitude = (half & 0x7fffu) << 13;
  const uint32_t sign = (half & 0x8000u) << 16;
  if (magnitude >= 0x7c00u << 13) return std::bit_cast<float>(sign | magnitude | 0x7f800000u);
  const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(scaled));
}

/// Rounds to nearest even; what is too large becomes infinity.
inline uint16_t float_to_half(float value) {
  uint32_t bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  bits &= 0x7fffffffu;
  if (bits > 0x7f800000u) return sign | 0x7e00u;
  if (bits >= 0x47800000u) return sign | 0x7c00u;  // 65536 and above
  if (bits < 0x38800000u) {
    // Below 2^-14: adding 0.5 makes the hardware round at 2^-24, the spacing of subnormals.
    const float shifted = std::bit_cast<float>(bits) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  bits += 0xfffu + ((bits >> 13) & 1u) - 0x38000000u;
  return static_cast<uint16_t>(sign | (bits >> 13));
}

inline float bfloat16_to_float(uint16_t value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value) << 16);
}

/// Rounds to nearest even.
inline uint16_t float_to_bfloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) {
    return static_cast<uint16_t>(((bits >> 16) & 0x8000u) | 0x7fc0u);
  }
  return static_cast<uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

/// A binary floating-point format of at most 16 bits, sign bit on top.
struct SmallFloat {
  uint8_t bits;  ///< in all
  uint8_t mantissa_bits;
  uint8_t bias;
  uint16_t largest;    ///< the code of the largest finite number
  uint16_t overflow;   ///< the code that numbers past it become; infinity where there is no code
                       ///< for it
  uint16_t nan;        ///< the code that NaN becomes (without sign, unless `unsigned_zero`)
  uint16_t infinity;   ///< the code of infinity; 0 where there is none
  bool unsigned_zero;  ///< the code of -0 is NaN, the only one
};

inline constexpr SmallFloat kHalf = {16, 10, 15, 0x7bff, 0x7c00, 0x7e00, 0x7c00, false};
inline constexpr SmallFloat kBFloat16 = {16, 7, 127, 0x7f7f, 0x7f80, 0x7fc0, 0x7f80, false};
// The float8 formats saturate. Infinity does too where there is no code for it; where there is,
// it stays, and ONNX's Cast with `saturate` makes it finite first. (The text of the specification
// has infinity become NaN for the FNUZ formats.)
inline constexpr SmallFloat kFloat8E4M3FN = {8, 3, 7, 0x7e, 0x7e, 0x7f, 0, false};
inline constexpr SmallFloat kFloat8E4M3FNUZ = {8, 3, 8, 0x7f, 0x7f, 0x80, 0, true};
inline constexpr SmallFloat kFloat8E5M2 = {8, 2, 15, 0x7b, 0x7b, 0x7e, 0x7c, false};
inline constexpr SmallFloat kFloat8E5M2FNUZ = {8, 2, 16, 0x7f, 0x7f, 0x80, 0, true};
// No NaN: ONNX's Cast makes it the largest number.
inline constexpr SmallFloat kFloat4E2M1 = {4, 1, 1, 0x7, 0x7, 0x7, 0, false};

/// The exact value of `code`.
double decode(const SmallFloat& format, uint32_t code);
/// The code of `value`, rounded once, to nearest even.
uint32_t encode(const SmallFloat& format, double value);

/// Powers of two from 2^-127 to 2^127; 255 is NaN.
double decode_float8_e8m0(uint8_t code);
/// Rounds up, without regard to sign, and saturates; infinity becomes NaN. So does ONNX's Cast.
uint8_t encode_float8_e8m0(double value);

}  // namespace quern
