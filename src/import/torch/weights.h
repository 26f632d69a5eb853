// Parameters, buffers and constants of a torch.export archive as constants of a graph.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "import/torch/names.h"
#include "import/torch/schema.h"

namespace quern::torch {

/// A storage: bytes in memory, or a place in the file.
struct Payload {
  uint64_t offset = 0;  ///< in the file; of bytes in memory too, where that means anything
  uint64_t size = 0;
  bool in_file = false;        ///< `bytes` is empty, what is wanted of it stays there
  std::vector<uint8_t> bytes;  ///< its contents
};

/// A tensor in a storage.
struct StoredTensor {
  std::string payload;  ///< key of the storage
  TensorMeta meta;      ///< with numbers for all dims and strides
};

class Weights {
 public:
  Weights(Builder& builder, std::vector<WeightInfo>& table) : b_(builder), table_(table) {}

  std::map<std::string, Payload, std::less<>> payloads;
  std::map<std::string, StoredTensor, std::less<>> tensors;  ///< by the model's names

  /// The tensor as a constant, transposed or expanded where its strides say so; the same storage is
  /// read once. A failure of the builder where it does not fit its storage.
  Tensor load(std::string_view name);

 private:
  Tensor dense(std::string_view name, const Payload& payload, std::string_view key, DType dtype,
               const Dims& dims, uint64_t offset);

  Builder& b_;
  std::vector<WeightInfo>& table_;
  std::map<std::string, Tensor, std::less<>> made_;
};

}  // namespace quern::torch
