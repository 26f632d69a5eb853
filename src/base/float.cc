#include "base/float.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace quern {
namespace {

/// 2^exponent for normal exponents.
double power_of_two(int exponent) {
  return std::bit_cast<double>(static_cast<uint64_t>(exponent + 1023) << 52);
}

/// The exponent field of a double, without bias; -1023 for zero and subnormals.
int exponent_of(double value) {
  return static_cast<int>((std::bit_cast<uint64_t>(value) >> 52) & 0x7ff) - 1023;
}

}  // namespace

double decode(const SmallFloat& f, uint32_t code) {
  const uint32_t sign_bit = 1u << (f.bits - 1);
  const uint32_t magnitude = code & (sign_bit - 1);
  const bool negative = (code & sign_bit) != 0;
  double value = 0;
  if (f.unsigned_zero && negative && magnitude == 0) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (magnitude > f.largest) {
    value = magnitude == f.infinity ? std::numeric_limits<double>::infinity()
                                    : std::numeric_limits<double>::quiet_NaN();
  } else {
    const uint32_t hidden = 1u << f.mantissa_bits;
    const int exponent = std::max(1, static_cast<int>(magnitude >> f.mantissa_bits));
    const uint32_t mantissa = magnitude < hidden ? magnitude : (magnitude & (hidden - 1)) | hidden;
    value = mantissa * power_of_two(exponent - f.bias - f.mantissa_bits);
  }
  return negative ? -value : value;
}

uint32_t encode(const SmallFloat& f, double value) {
  const uint32_t sign = std::signbit(value) ? 1u << (f.bits - 1) : 0u;
  if (std::isnan(value)) return f.unsigned_zero ? f.nan : sign | f.nan;
  value = std::fabs(value);
  if (std::isinf(value) && f.infinity != 0) return sign | f.infinity;
  uint32_t code = f.overflow;
  if (!std::isinf(value) && exponent_of(value) <= f.bias + 1) {
    // Measured in units in the last place, the number is an integer after rounding; a carry
    // into the exponent comes out right by plain addition.
    const int exponent = std::max(exponent_of(value), 1 - f.bias);
    const double units = std::nearbyint(value * power_of_two(f.mantissa_bits - exponent));
    code = (static_cast<uint32_t>(exponent + f.bias - 1) << f.mantissa_bits) +
           static_cast<uint32_t>(units);
    if (code > f.largest) code = f.overflow;
  }
  return f.unsigned_zero && code == 0 ? 0 : sign | code;
}

double decode_float8_e8m0(uint8_t code) {
  return code == 0xff ? std::numeric_limits<double>::quiet_NaN() : power_of_two(code - 127);
}

uint8_t encode_float8_e8m0(double value) {
  if (std::isnan(value) || std::isinf(value)) return 0xff;
  int exponent = exponent_of(value);
  if (std::fabs(value) > power_of_two(std::max(exponent, -1022))) ++exponent;
  return static_cast<uint8_t>(std::clamp(exponent + 127, 0, 254));
}

}  // namespace quern
