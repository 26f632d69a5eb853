// Hand-written CPU kernels: src/ops/<group>/<op>_cpu.cc defines `const CpuKernel cpu_<op>`.
#pragma once

#include <functional>
#include <span>
#include <string_view>
#include <type_traits>

#include "ir/op_context.h"

namespace quern {

/// Runs loops on the threads of the session.
class Parallel {
 public:
  virtual ~Parallel() = default;
  [[nodiscard]] virtual int threads() const = 0;
  /// Calls body(begin, end) over pieces of [0, count) of at least `grain`; returns when all ran.
  virtual void run(int64_t count, int64_t grain,
                   const std::function<void(int64_t, int64_t)>& body) = 0;
};

/// A fused tail: applied to the anchor's output elements [begin, end) (flat, row-major) in place
/// or into the fused node's output, once they are complete.
class CpuContext : public OpContext {
 public:
  using OpContext::OpContext;
  virtual ~CpuContext() = default;
  [[nodiscard]] virtual const uint8_t* data(size_t input) const = 0;
  [[nodiscard]] virtual uint8_t* out(size_t output) = 0;
  /// Input `input` as elements of that type: converted where it has another one, as a model may
  /// that breaks its operators' rules. For threads of a call alike.
  [[nodiscard]] virtual const uint8_t* data_as(size_t input, DType dtype) const = 0;
  /// Memory for this call, 64-byte aligned; an error past the session's limit.
  virtual Result<uint8_t*> scratch(size_t bytes) = 0;
  [[nodiscard]] virtual Parallel& parallel() = 0;

  template <class T>
  [[nodiscard]] const T* in_as(size_t i) const {
    constexpr DType kType = std::is_same_v<T, float>     ? DType::kF32
                            : std::is_same_v<T, int32_t> ? DType::kI32
                            : sizeof(T) == 1             ? DType::kU8
                                                         : DType::kUndefined;
    return reinterpret_cast<const T*>(i == 0 || kType == DType::kUndefined ? data(i)
                                                                           : data_as(i, kType));
  }
  template <class T>
  [[nodiscard]] T* out_as(size_t i) {
    return reinterpret_cast<T*>(out(i));
  }
};

struct CpuKernel {
  /// Element types of input 0 that `run` takes directly (bits as in OpDef::types); for others the
  /// executor converts inputs to f32 before and outputs after.
  uint32_t types = 1u << 1;  // f32
  Result<void> (*run)(CpuContext&) = nullptr;
};

struct CpuKernelEntry {
  std::string_view name;
  const CpuKernel* kernel;
};
std::span<const CpuKernelEntry> all_cpu_kernels();

}  // namespace quern
