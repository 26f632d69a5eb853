// Reading and writing the word streams of the C ABI (api/abi.h).
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/tensor.h"
#include "plan/walk.h"

namespace quern {

class WordWriter {
 public:
  void word(uint64_t value) {
    const auto v = static_cast<uint32_t>(value);
    append_bytes(&v, 4);
  }
  void wide(uint64_t value) {
    word(value & UINT32_MAX);
    word(value >> 32);
  }
  void blob(const void* data, size_t size) {
    word(size);
    append_bytes(data, size);
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
  }
  std::vector<uint8_t> take() { return std::move(bytes_); }

 private:
  void append_bytes(const void* data, size_t size) {
    const size_t at = bytes_.size();
    bytes_.resize(at + size);
    if (size != 0) std::memcpy(bytes_.data() + at, data, size);
  }

  std::vector<uint8_t> bytes_;
};

/// The inputs of quern_run_start.
Result<std::vector<RunInput>> read_inputs(std::span<const uint8_t> bytes);
/// The values of quern_run_advance, of the types and dims that the walk asked for.
Result<std::vector<std::shared_ptr<const HostTensor>>> read_values(
    std::span<const uint8_t> bytes, const std::vector<TensorInfo>& requested);
/// The outputs of quern_cpu_run.
void write_values(WordWriter& out, const std::vector<HostValue>& values);

}  // namespace quern
