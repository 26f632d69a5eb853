// What a WebGPU device offers.
#pragma once

#include <cstdint>

namespace quern {

/// Bindings begin at multiples of so many bytes (WebGPU's minStorageBufferOffsetAlignment).
inline constexpr uint64_t kBindingAlignment = 256;

/// Sizes of the matrices that a subgroup multiplies at once: m x k times k x n; 0: it can't.
struct MatrixShape {
  uint32_t m = 0, n = 0, k = 0;
  [[nodiscard]] bool exists() const { return m != 0; }
};

/// Features and limits that code generation and lowering use; the defaults are WebGPU's own.
struct Target {
  bool f16 = false;  ///< shader-f16
  bool subgroups = false;
  uint32_t subgroup_min = 0;  ///< 0 where not known
  uint32_t subgroup_max = 0;
  uint32_t max_storage_buffers = 8;         ///< per stage
  uint32_t max_invocations = 256;           ///< per workgroup
  uint32_t max_workgroup_storage = 16384;   ///< bytes
  uint32_t max_workgroups = 65535;          ///< per dimension
  uint64_t max_binding_bytes = 128u << 20;  ///< of a storage binding
  uint64_t max_buffer_bytes = 256u << 20;
  /// That work is to be spread over; where it is not known, a large device's.
  uint32_t cores = 132;
  /// By a CPU, on which the invocations of a workgroup take turns.
  bool emulated = false;
  /// Its compiler does better where the operands of products are bound for writing too.
  bool writable_operands = false;
  /// It multiplies four bytes at once, and its WGSL has that (packed_4x8_integer_dot_product).
  bool byte_products = false;
  /// chromium-experimental-subgroup-matrix for f16 operands and f32 sums, where the device has
  /// shader-f16 too, and subgroups of one size.
  MatrixShape matrix_f16 = {};
};

}  // namespace quern
