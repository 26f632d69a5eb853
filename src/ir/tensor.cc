#include "ir/tensor.h"

#include <bit>
#include <cassert>
#include <cmath>
#include <cstring>

#include "base/float.h"

namespace quern {
namespace {

template <class T>
T load(const uint8_t* data, int64_t i) {
  T value;
  std::memcpy(&value, data + static_cast<size_t>(i) * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void store(uint8_t* data, int64_t i, T value) {
  std::memcpy(data + static_cast<size_t>(i) * sizeof(T), &value, sizeof(T));
}

/// Element `i` of packed elements of `bits` bits (2, 4).
uint32_t load_packed(const uint8_t* data, int64_t i, int bits) {
  const auto at = static_cast<uint64_t>(i) * static_cast<uint64_t>(bits);
  return (data[at / 8] >> (at % 8)) & ((1u << bits) - 1);
}

void store_packed(uint8_t* data, int64_t i, int bits, uint32_t value) {
  const auto at = static_cast<uint64_t>(i) * static_cast<uint64_t>(bits);
  const uint32_t mask = ((1u << bits) - 1) << (at % 8);
  data[at / 8] = static_cast<uint8_t>((data[at / 8] & ~mask) | ((value << (at % 8)) & mask));
}

const SmallFloat* small_float(DType type) {
  switch (type) {
    case DType::kF16:
      return &kHalf;
    case DType::kBF16:
      return &kBFloat16;
    case DType::kF8E4M3FN:
      return &kFloat8E4M3FN;
    case DType::kF8E4M3FNUZ:
      return &kFloat8E4M3FNUZ;
    case DType::kF8E5M2:
      return &kFloat8E5M2;
    case DType::kF8E5M2FNUZ:
      return &kFloat8E5M2FNUZ;
    case DType::kF4E2M1:
      return &kFloat4E2M1;
    default:
      return nullptr;
  }
}

/// NaN stays NaN.
double clamp(double value, double low, double high) {
  return value < low ? low : value > high ? high : value;
}

/// Toward zero; what doesn't fit becomes the nearest limit, NaN 0.
int64_t truncate(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p63) return INT64_MAX;
  if (value < -0x1p63) return INT64_MIN;
  return static_cast<int64_t>(value);
}

}  // namespace

uint64_t load_bits(DType type, const uint8_t* data, int64_t i) {
  switch (bit_width(type)) {
    case 2:
      return load_packed(data, i, 2);
    case 4:
      return load_packed(data, i, 4);
    case 8:
      return data[i];
    case 16:
      return load<uint16_t>(data, i);
    case 32:
      return load<uint32_t>(data, i);
    case 64:
      return load<uint64_t>(data, i);
    default:
      return 0;
  }
}

void store_bits(DType type, uint8_t* data, int64_t i, uint64_t bits) {
  switch (bit_width(type)) {
    case 2:
      return store_packed(data, i, 2, static_cast<uint32_t>(bits));
    case 4:
      return store_packed(data, i, 4, static_cast<uint32_t>(bits));
    case 8:
      return store(data, i, static_cast<uint8_t>(bits));
    case 16:
      return store(data, i, static_cast<uint16_t>(bits));
    case 32:
      return store(data, i, static_cast<uint32_t>(bits));
    case 64:
      return store(data, i, bits);
    default:
      return;
  }
}

int64_t load_int(DType type, const uint8_t* data, int64_t i) {
  if (type == DType::kBool) return data[i] != 0;
  if (is_signed_int(type)) {
    const int unused = 64 - bit_width(type);
    return static_cast<int64_t>(load_bits(type, data, i) << unused) >> unused;
  }
  if (is_unsigned_int(type)) return static_cast<int64_t>(load_bits(type, data, i));
  return truncate(load_float(type, data, i));
}

double load_float(DType type, const uint8_t* data, int64_t i) {
  switch (type) {
    case DType::kF32:
      return load<float>(data, i);
    case DType::kF64:
      return load<double>(data, i);
    case DType::kF16:
      return half_to_float(load<uint16_t>(data, i));
    case DType::kU64:
      return static_cast<double>(load<uint64_t>(data, i));
    case DType::kF8E8M0:
      return decode_float8_e8m0(data[i]);
    case DType::kC64:
      return load<float>(data, 2 * i);
    case DType::kC128:
      return load<double>(data, 2 * i);
    case DType::kUndefined:
    case DType::kString:
      return 0;
    default:
      break;
  }
  if (const SmallFloat* format = small_float(type)) {
    return decode(*format, static_cast<uint32_t>(load_bits(type, data, i)));
  }
  return static_cast<double>(load_int(type, data, i));
}

void store_int(DType type, uint8_t* data, int64_t i, int64_t value) {
  if (type == DType::kBool) {
    data[i] = value != 0;
  } else if (is_integer(type)) {
    store_bits(type, data, i, static_cast<uint64_t>(value));
  } else if (type == DType::kF32) {
    store(data, i, static_cast<float>(value));  // one rounding, not two by way of double
  } else {
    store_float(type, data, i, static_cast<double>(value));
  }
}

void store_float(DType type, uint8_t* data, int64_t i, double value) {
  switch (type) {
    case DType::kF32:
      return store(data, i, static_cast<float>(value));
    case DType::kF64:
      return store(data, i, value);
    case DType::kF8E8M0:
      data[i] = encode_float8_e8m0(value);
      return;
    case DType::kC64:
      store(data, 2 * i, static_cast<float>(value));
      return store(data, 2 * i + 1, 0.0f);
    case DType::kC128:
      store(data, 2 * i, value);
      return store(data, 2 * i + 1, 0.0);
    case DType::kBool:
      data[i] = value != 0;
      return;
    case DType::kU64:
      if (value >= 0x1p63) {
        return store(data, i, value >= 0x1p64 ? UINT64_MAX : static_cast<uint64_t>(value));
      }
      if (value < 0) value = 0;
      break;
    case DType::kU32:
      value = clamp(value, 0, UINT32_MAX);
      break;
    case DType::kI32:
      value = clamp(value, INT32_MIN, INT32_MAX);
      break;
    case DType::kUndefined:
    case DType::kString:
      return;
    default:
      break;
  }
  if (const SmallFloat* format = small_float(type)) {
    return store_bits(type, data, i, encode(*format, value));
  }
  store_bits(type, data, i, static_cast<uint64_t>(truncate(value)));
}

int64_t HostTensor::count() const {
  int64_t n = 1;
  for (const int64_t extent : dims) {
    if (__builtin_mul_overflow(n, extent, &n)) return 0;
  }
  return n;
}

Result<HostTensor> HostTensor::zeros(DType dtype, Dims dims, uint64_t limit) {
  QUERN_ASSIGN(const int64_t n, element_count(dims));
  HostTensor tensor;
  tensor.dtype = dtype;
  tensor.dims = std::move(dims);
  if (dtype == DType::kString) {
    if (static_cast<uint64_t>(n) > limit / sizeof(std::string)) {
      return limit_exceeded(
          cat("string tensor of ", n, " elements passes the limit of ", limit, " bytes"));
    }
    tensor.strings.resize(static_cast<size_t>(n));
    return tensor;
  }
  // n < 2^53, so the bits of the widest type fit 64 bits.
  const uint64_t size = byte_size(dtype, static_cast<uint64_t>(n));
  if (size > limit) {
    return limit_exceeded(cat("tensor of ", size, " bytes passes the limit of ", limit, " bytes"));
  }
  tensor.bytes.resize(static_cast<size_t>(size));
  return tensor;
}

HostTensor HostTensor::of_ints(DType dtype, Dims dims, const std::vector<int64_t>& values) {
  HostTensor tensor{dtype, std::move(dims), {}, {}};
  assert(tensor.count() == static_cast<int64_t>(values.size()));
  tensor.bytes.resize(byte_size(dtype, values.size()));
  for (size_t i = 0; i < values.size(); ++i) tensor.set_int(static_cast<int64_t>(i), values[i]);
  return tensor;
}

HostTensor HostTensor::of_floats(Dims dims, const std::vector<float>& values) {
  HostTensor tensor{DType::kF32, std::move(dims), {}, {}};
  assert(tensor.count() == static_cast<int64_t>(values.size()));
  tensor.bytes.resize(values.size() * sizeof(float));
  if (!values.empty()) std::memcpy(tensor.bytes.data(), values.data(), tensor.bytes.size());
  return tensor;
}

int64_t HostTensor::int_at(int64_t i) const { return load_int(dtype, bytes.data(), i); }
double HostTensor::float_at(int64_t i) const { return load_float(dtype, bytes.data(), i); }
void HostTensor::set_int(int64_t i, int64_t value) { store_int(dtype, bytes.data(), i, value); }
void HostTensor::set_float(int64_t i, double value) { store_float(dtype, bytes.data(), i, value); }

ConstantPtr make_constant(HostTensor tensor) {
  auto constant = std::make_shared<Constant>();
  constant->dtype = tensor.dtype;
  constant->dims = tensor.dims;
  constant->host = std::move(tensor);
  return constant;
}

}  // namespace quern
