// A checkpoint beside a SavedModel: variables/variables.index names its tensors, which lie in
// shards, variables/variables.data-0000N-of-0000M. After
// tensorflow/core/protobuf/tensor_bundle.proto and core/util/tensor_bundle.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "import/convert/importer.h"
#include "import/scan/protobuf.h"
#include "import/tensorflow/emitter.h"

namespace quern::saved_model {

inline constexpr std::string_view kIndexFile = "variables/variables.index";
/// The tensor that holds a checkpoint's object graph.
inline constexpr std::string_view kObjectGraphKey = "_CHECKPOINTABLE_OBJECT_GRAPH";

struct CheckpointEntry {
  int64_t type = 0;  ///< TensorFlow's number
  Dims dims;
  size_t shard = 0;
  uint64_t offset = 0, size = 0;
  uint32_t checksum = 0;
  bool is_sliced = false;         ///< a partitioned variable, in several tensors
  std::vector<uint8_t> contents;  ///< where they were asked for
};

class Checkpoint {
 public:
  /// Reads variables.index. kInvalidModel; kUnsupported for big-endian ones.
  Result<void> read_index(Bytes file);
  /// The sizes of all shards, which must be known before contents are asked for.
  [[nodiscard]] std::vector<ByteRange> sizes() const;
  Result<void> take_sizes(std::span<const std::span<const uint8_t>> bytes);

  [[nodiscard]] const CheckpointEntry* find(std::string_view key) const;
  /// Ranges that hold the contents of those of these tensors that are below `below` bytes.
  Result<std::vector<ByteRange>> wanted(const std::vector<std::string>& keys, uint64_t below,
                                        uint64_t memory_limit);
  /// Their bytes; checksums are verified.
  Result<void> take(std::span<const std::span<const uint8_t>> bytes);
  /// The one element of a tensor of strings whose contents were taken.
  [[nodiscard]] Result<Bytes> string_of(std::string_view key) const;

  /// A tensor as a constant of the graph; a failure of the emitter where it can't be had.
  tensorflow::Tensor load(tensorflow::Emitter& b, std::string_view key);
  /// What constants that stay in the shards refer to.
  std::vector<WeightInfo> table;

 private:
  [[nodiscard]] std::string shard_file(size_t shard) const;
  [[nodiscard]] Result<void> check_place(std::string_view key, const CheckpointEntry& entry) const;

  size_t shards_ = 0;
  std::vector<uint64_t> shard_sizes_;
  std::map<std::string, CheckpointEntry, std::less<>> entries_;
  /// What was asked for: a tensor, the range that it lies in, and where there.
  struct Wanted {
    CheckpointEntry* entry = nullptr;
    std::string_view key;
    size_t range = 0;
    uint64_t at = 0;
  };
  std::vector<Wanted> wanted_;
  std::map<std::string, tensorflow::Tensor, std::less<>> loaded_;
};

}  // namespace quern::saved_model
