// ONNX TensorProto and its relatives: test files and the importer read them with this.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "import/scan/protobuf.h"
#include "ir/graph.h"
#include "ir/tensor.h"

namespace quern {

/// A tensor's rank is at most this.
inline constexpr size_t kMaxRank = 32;

/// The number as an element type; kUnsupported where unknown, kInvalidModel for 0.
Result<DType> dtype_of_onnx(int64_t number);

/// A TensorProto but for its data. Views point into the message.
struct TensorHeader {
  std::string_view name;
  DType dtype = DType::kUndefined;
  Dims dims;                 ///< none negative, at most 2^53 elements
  uint64_t byte_length = 0;  ///< what the data must take; 0 for strings
  uint32_t data_fields = 0;  ///< bit n: data field n is present
  bool external = false;     ///< data_location is EXTERNAL, and so:
  std::string_view location, offset, length;
  bool has_weight = false;              ///< a scanner took the data away, and left:
  uint64_t weight = 0;                  ///< its number
  const uint8_t* weight_end = nullptr;  ///< where its field ends

  /// "tensor 'w' (f32[3, 4])".
  [[nodiscard]] std::string describe() const;
};

Result<TensorHeader> read_tensor_header(Bytes message);
/// The data of a tensor that has it inline: packed, 4-bit and 2-bit types too; bools are 0 or 1.
Result<HostTensor> read_tensor_data(Bytes message, const TensorHeader& header);

/// A TensorProto with its data inline, and its name.
Result<HostTensor> parse_tensor_proto(Bytes message, std::string* name = nullptr);
/// A SparseTensorProto made dense; kLimit where that takes more than `limit` bytes.
Result<HostTensor> parse_sparse_tensor_proto(Bytes message, uint64_t limit,
                                             std::string* name = nullptr);

/// A TensorProto, SequenceProto, OptionalProto or MapProto, as `kind` says: a value in a test file.
Result<HostValue> parse_value_proto(Bytes message, Type::Kind kind, std::string* name = nullptr);

}  // namespace quern
