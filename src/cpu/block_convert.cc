#include "cpu/block_convert.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "cpu/block_ops.h"
#include "ir/tensor.h"

namespace quern {
namespace {

// Without branches, so that loops of it vectorise.
float half_to_float(uint16_t half) {
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13;
  // 2^112 moves the exponent into place, and makes subnormal halves normal.
  const uint32_t finite = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112F);
  const uint32_t bits = (half & 0x7c00) == 0x7c00 ? magnitude | 0x7f800000 : finite;
  return std::bit_cast<float>(bits | static_cast<uint32_t>(half & 0x8000) << 16);
}

uint16_t float_to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t magnitude = bits & 0x7fffffff;
  // Adding 0.5 leaves a subnormal half, rounded to even, in the low bits.
  const uint32_t tiny =
      std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5F) - 0x3f000000;
  const uint32_t normal = (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13;
  const uint32_t special = magnitude > 0x7f800000 ? 0x7e00 : 0x7c00;
  const uint32_t half = magnitude < 0x38800000 ? tiny : magnitude >= 0x477ff000 ? special : normal;
  return static_cast<uint16_t>(half | (bits >> 16 & 0x8000));
}

float bfloat_to_float(uint16_t b) { return std::bit_cast<float>(static_cast<uint32_t>(b) << 16); }

uint16_t float_to_bfloat(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? (bits >> 16 | 0x40) : rounded);
}

// How one element type looks in memory (M) and in a register (R).
template <class M, class R>
struct Plain {
  using Memory = M;
  using Register = R;
  static R load(M v) { return static_cast<R>(v); }
  static M store(R v) { return static_cast<M>(v); }
};
struct Bool {
  using Memory = uint8_t;
  using Register = uint8_t;
  static uint8_t load(uint8_t v) { return v != 0 ? 1 : 0; }
  static uint8_t store(uint8_t v) { return v; }
};
struct Half {
  using Memory = uint16_t;
  using Register = float;
  static float load(uint16_t v) { return half_to_float(v); }
  static uint16_t store(float v) { return float_to_half(v); }
};
struct Bfloat {
  using Memory = uint16_t;
  using Register = float;
  static float load(uint16_t v) { return bfloat_to_float(v); }
  static uint16_t store(float v) { return float_to_bfloat(v); }
};

// Calls `body` with the form of the type; false for packed types and 8-bit floats.
template <class Body>
bool with_form(DType dtype, Body body) {
  switch (dtype) {
    case DType::kF32:
      body(Plain<float, float>());
      return true;
    case DType::kF64:
      body(Plain<double, double>());
      return true;
    case DType::kF16:
      body(Half());
      return true;
    case DType::kBF16:
      body(Bfloat());
      return true;
    case DType::kI8:
      body(Plain<int8_t, int32_t>());
      return true;
    case DType::kU8:
      body(Plain<uint8_t, uint32_t>());
      return true;
    case DType::kI16:
      body(Plain<int16_t, int32_t>());
      return true;
    case DType::kU16:
      body(Plain<uint16_t, uint32_t>());
      return true;
    case DType::kI32:
      body(Plain<int32_t, int32_t>());
      return true;
    case DType::kU32:
      body(Plain<uint32_t, uint32_t>());
      return true;
    case DType::kI64:
    case DType::kU64:
      body(Plain<int64_t, int64_t>());
      return true;
    case DType::kBool:
      body(Bool());
      return true;
    default:
      return false;
  }
}

// Any type, element by element; `offset(i)` is the i-th element's.
template <class Offset>
void load_slow(DType dtype, const uint8_t* data, int count, void* out, Offset offset) {
  const Scalar type = compute_type(dtype);
  for (int i = 0; i < count; ++i) {
    if (type == Scalar::kF32) {
      static_cast<float*>(out)[i] = static_cast<float>(load_float(dtype, data, offset(i)));
    } else {
      static_cast<int32_t*>(out)[i] = static_cast<int32_t>(load_int(dtype, data, offset(i)));
    }
  }
}

}  // namespace

bool is_register_type(DType dtype) {
  switch (dtype) {
    case DType::kF32:
    case DType::kF64:
    case DType::kI32:
    case DType::kU32:
    case DType::kI64:
    case DType::kU64:
      return true;
    default:
      return false;
  }
}

void load_run(DType dtype, const uint8_t* data, int64_t start, int64_t stride, int count,
              void* out) {
  const bool done = with_form(dtype, [&]<class Form>(Form) {
    auto* __restrict to = static_cast<typename Form::Register*>(out);
    const auto* __restrict from = reinterpret_cast<const typename Form::Memory*>(data) + start;
    if (stride == 0) {
      const auto value = Form::load(*from);
      for (int i = 0; i < count; ++i) to[i] = value;
    } else if (stride == 1) {
      if (is_register_type(dtype)) {
        std::memcpy(to, from, static_cast<size_t>(count) * sizeof *to);
      } else {
        for (int i = 0; i < count; ++i) to[i] = Form::load(from[i]);
      }
    } else {
      for (int i = 0; i < count; ++i) to[i] = Form::load(from[i * stride]);
    }
  });
  if (!done) {
    load_slow(dtype, data, count, out, [&](int i) { return start + i * stride; });
  }
}

void load_gather(DType dtype, const uint8_t* data, const int64_t* offsets, int count, void* out) {
  const bool done = with_form(dtype, [&]<class Form>(Form) {
    auto* __restrict to = static_cast<typename Form::Register*>(out);
    const auto* __restrict from = reinterpret_cast<const typename Form::Memory*>(data);
    for (int i = 0; i < count; ++i) to[i] = Form::load(from[offsets[i]]);
  });
  if (!done) load_slow(dtype, data, count, out, [&](int i) { return offsets[i]; });
}

void store_run(DType dtype, const void* block, uint8_t* data, int64_t start, int count) {
  const bool done = with_form(dtype, [&]<class Form>(Form) {
    const auto* __restrict from = static_cast<const typename Form::Register*>(block);
    auto* __restrict to = reinterpret_cast<typename Form::Memory*>(data) + start;
    if (is_register_type(dtype)) {
      std::memcpy(to, from, static_cast<size_t>(count) * sizeof *to);
    } else {
      for (int i = 0; i < count; ++i) to[i] = Form::store(from[i]);
    }
  });
  if (done) return;
  for (int i = 0; i < count; ++i) {
    if (compute_type(dtype) == Scalar::kF32) {
      store_float(dtype, data, start + i, static_cast<double>(static_cast<const float*>(block)[i]));
    } else {
      store_int(dtype, data, start + i, static_cast<const int32_t*>(block)[i]);
    }
  }
}

}  // namespace quern
