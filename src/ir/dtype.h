// Element types of tensors, numbered as in ONNX's TensorProto.DataType.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quern {

enum class DType : uint8_t {
  kUndefined = 0,
  kF32 = 1,
  kU8 = 2,
  kI8 = 3,
  kU16 = 4,
  kI16 = 5,
  kI32 = 6,
  kI64 = 7,
  kString = 8,
  kBool = 9,
  kF16 = 10,
  kF64 = 11,
  kU32 = 12,
  kU64 = 13,
  kC64 = 14,
  kC128 = 15,
  kBF16 = 16,
  kF8E4M3FN = 17,
  kF8E4M3FNUZ = 18,
  kF8E5M2 = 19,
  kF8E5M2FNUZ = 20,
  kU4 = 21,
  kI4 = 22,
  kF4E2M1 = 23,
  kF8E8M0 = 24,
  kU2 = 25,
  kI2 = 26,
};

/// Bits of one element in memory (host and device alike: little endian, packed low bits first);
/// 0 for strings and undefined types.
constexpr int bit_width(DType type) {
  switch (type) {
    case DType::kU8:
    case DType::kI8:
    case DType::kBool:
    case DType::kF8E4M3FN:
    case DType::kF8E4M3FNUZ:
    case DType::kF8E5M2:
    case DType::kF8E5M2FNUZ:
    case DType::kF8E8M0:
      return 8;
    case DType::kU16:
    case DType::kI16:
    case DType::kF16:
    case DType::kBF16:
      return 16;
    case DType::kF32:
    case DType::kI32:
    case DType::kU32:
      return 32;
    case DType::kI64:
    case DType::kU64:
    case DType::kF64:
    case DType::kC64:
      return 64;
    case DType::kC128:
      return 128;
    case DType::kU4:
    case DType::kI4:
    case DType::kF4E2M1:
      return 4;
    case DType::kU2:
    case DType::kI2:
      return 2;
    default:
      return 0;
  }
}

/// Bytes that `count` elements take, without padding.
constexpr uint64_t byte_size(DType type, uint64_t count) {
  return (count * static_cast<uint64_t>(bit_width(type)) + 7) / 8;
}

constexpr bool is_float(DType t) {
  return t == DType::kF32 || t == DType::kF16 || t == DType::kF64 || t == DType::kBF16 ||
         (t >= DType::kF8E4M3FN && t <= DType::kF8E5M2FNUZ) || t == DType::kF4E2M1 ||
         t == DType::kF8E8M0;
}
constexpr bool is_signed_int(DType t) {
  return t == DType::kI8 || t == DType::kI16 || t == DType::kI32 || t == DType::kI64 ||
         t == DType::kI4 || t == DType::kI2;
}
constexpr bool is_unsigned_int(DType t) {
  return t == DType::kU8 || t == DType::kU16 || t == DType::kU32 || t == DType::kU64 ||
         t == DType::kU4 || t == DType::kU2;
}
constexpr bool is_integer(DType t) { return is_signed_int(t) || is_unsigned_int(t); }

/// The type's name in our text format and at the API: "f32", "i64", "bool", "f8e4m3fn".
std::string_view name_of(DType type);
/// The type with that name.
std::optional<DType> dtype_named(std::string_view name);
void append(std::string& out, DType type);

}  // namespace quern
