// What a WebGPU device offers.
#pragma once

#include <cstdint>

namespace quern {

/// Bindings begin at multiples of so many bytes (WebGPU's minStorageBufferOffsetAlignment).
inline constexpr uint64_t kBindingAlignment = 256;

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
};

}  // namespace quern
