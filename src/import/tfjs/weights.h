// The weights of a TensorFlow.js model: groups of tensors, one after the other, in shards.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "import/convert/importer.h"
#include "import/json/json.h"
#include "import/tensorflow/emitter.h"

namespace quern::tfjs {

/// A run of bytes in one shard.
struct Piece {
  size_t shard = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
};

/// One tensor of the manifest.
struct Weight {
  std::string name;
  std::string dtype;  ///< "float32", "int32", "bool", "string", "complex64"
  Dims dims;
  DType stored = DType::kUndefined;      ///< as it lies in the shards
  std::optional<double> scale, minimum;  ///< of quantised ones
  uint64_t bytes = 0;
  std::vector<Piece> pieces;
  std::vector<uint8_t> contents;  ///< where they were asked for
};

class Weights {
 public:
  /// Reads "weightsManifest".
  Result<void> read_manifest(const Json& manifest);
  /// The files, in order; their sizes must be known before the rest.
  [[nodiscard]] const std::vector<std::string>& shards() const { return shards_; }
  Result<void> place(const std::vector<uint64_t>& shard_sizes);
  /// Ranges that hold the contents of the tensors below `inline_below` bytes, and elements of
  /// others that lie in two shards.
  Result<std::vector<ByteRange>> wanted(const ConvertOptions& options);
  Result<void> take(std::span<const std::span<const uint8_t>> bytes);

  [[nodiscard]] const Weight* find(std::string_view name) const;
  /// The weight whose path has `owner` in it and ends in `name`; "" where there is none, or
  /// several.
  [[nodiscard]] std::string find_below(std::string_view owner, std::string_view name) const;
  /// The tensor as a constant, or what computes it: quantised ones are dequantised, those that lie
  /// in several shards joined. A failure of the emitter where it can't be had.
  tensorflow::Tensor load(tensorflow::Emitter& b, std::string_view name);
  /// What constants refer to.
  std::vector<WeightInfo> table;

 private:
  struct Group {
    size_t first_shard = 0, shards = 0;
    size_t first_weight = 0, weights = 0;
  };
  /// What was asked for: a part of a weight's contents, or of an element.
  struct Wanted {
    size_t weight = 0;
    uint64_t at = 0;  ///< in the weight
    Piece piece;
    bool of_element = false;
  };
  tensorflow::Tensor stored(tensorflow::Emitter& b, const Weight& weight);
  tensorflow::Tensor in_shards(tensorflow::Emitter& b, const Weight& weight, size_t number);

  std::vector<std::string> shards_;
  std::vector<Group> groups_;
  std::vector<Weight> weights_;
  std::map<std::string, size_t, std::less<>> by_name_;
  std::vector<Wanted> wanted_;
  std::map<std::pair<size_t, uint64_t>, uint8_t> split_bytes_;  ///< of elements in two shards
  std::map<std::string, tensorflow::Tensor, std::less<>> loaded_;
  std::vector<ByteRange> ranges_;
};

}  // namespace quern::tfjs
