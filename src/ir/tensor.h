// Tensor contents on the host, and references to weights that stay outside it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "ir/dim.h"
#include "ir/dtype.h"

namespace quern {

/// A dense tensor in host memory, row-major, elements packed as `bit_width` says.
struct HostTensor {
  DType dtype = DType::kUndefined;
  Dims dims;
  std::vector<uint8_t> bytes;        ///< byte_size(dtype, count) bytes; empty for strings
  std::vector<std::string> strings;  ///< one an element, for DType::kString

  [[nodiscard]] int64_t count() const;

  /// A zeroed tensor; an error where the size passes `limit` bytes.
  static Result<HostTensor> zeros(DType dtype, Dims dims, uint64_t limit = uint64_t{1} << 31);
  static HostTensor of_ints(DType dtype, Dims dims, const std::vector<int64_t>& values);
  static HostTensor of_floats(Dims dims, const std::vector<float>& values);

  /// Element `i` widened: for integer and bool types, and floats truncated toward zero.
  [[nodiscard]] int64_t int_at(int64_t i) const;
  /// Element `i` widened: for every numeric type.
  [[nodiscard]] double float_at(int64_t i) const;
  void set_int(int64_t i, int64_t value);   ///< wraps to the type
  void set_float(int64_t i, double value);  ///< rounds floats to nearest even
};

/// One element of any numeric type in raw storage. Complex numbers read as their real part.
/// Floats become integers by truncation toward zero; out of range of 32 or 64 bits they give the
/// nearest limit, narrower types take the low bits, and NaN gives 0.
int64_t load_int(DType dtype, const uint8_t* data, int64_t i);
double load_float(DType dtype, const uint8_t* data, int64_t i);
void store_int(DType dtype, uint8_t* data, int64_t i, int64_t value);
void store_float(DType dtype, uint8_t* data, int64_t i, double value);
/// The code of one element of at most 64 bits.
uint64_t load_bits(DType dtype, const uint8_t* data, int64_t i);
void store_bits(DType dtype, uint8_t* data, int64_t i, uint64_t bits);

/// The contents of an initializer or Constant: small ones inline, large ones as a reference to
/// weight bytes that went to a sink (GPU buffer or CPU heap) while the file was scanned.
struct Constant {
  static constexpr uint32_t kInline = UINT32_MAX;

  DType dtype = DType::kUndefined;
  Dims dims;
  uint32_t weight = kInline;  ///< index in the model's weight table, or kInline
  HostTensor host;            ///< the contents where inline

  [[nodiscard]] bool is_inline() const { return weight == kInline; }
};
using ConstantPtr = std::shared_ptr<const Constant>;

ConstantPtr make_constant(HostTensor tensor);

}  // namespace quern
