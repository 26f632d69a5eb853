// The parts of a TFLite file that a graph is made from (tensorflow/lite/schema/schema.fbs, version
// 3). Options of operators stay tables, whose fields translators ask for by number.
#pragma once

#include <string>
#include <vector>

#include "import/tflite/flatbuffer.h"
#include "ir/graph.h"

namespace quern::tflite {

/// real = scale * (stored - zero_point), per tensor or along `axis`.
struct Quantization {
  std::vector<float> scale;
  std::vector<int64_t> zero_point;
  int32_t axis = 0;

  [[nodiscard]] bool operator==(const Quantization&) const = default;
};

struct TensorInfo {
  std::string name;
  int type = 0;
  std::vector<int32_t> shape;
  std::vector<int32_t> signature;  ///< the shape with -1 for what is not known, or empty
  uint32_t buffer = 0;
  bool is_variable = false;
  Quantization quantization;
  Table sparsity;

  [[nodiscard]] bool is_quantized() const { return !quantization.scale.empty(); }
};

struct OperatorInfo {
  uint32_t code = 0;  ///< index in FileModel::codes
  std::vector<int32_t> inputs, outputs;
  Table options;   ///< builtin_options
  Table options2;  ///< builtin_options_2
  std::vector<uint8_t> custom;
};

struct SubgraphInfo {
  std::string name;
  std::vector<TensorInfo> tensors;
  std::vector<int32_t> inputs, outputs;
  std::vector<OperatorInfo> operators;
};

struct OperatorCode {
  int builtin = 0;
  int version = 1;
  std::string custom;
};
constexpr int kCustom = 32;

struct BufferInfo {
  uint64_t offset = 0;
  uint64_t size = 0;
};

struct SignatureInfo {
  std::string key;
  uint32_t subgraph = 0;
  std::vector<std::pair<std::string, uint32_t>> inputs, outputs;
};

struct FileModel {
  std::string description;
  std::vector<OperatorCode> codes;
  std::vector<SubgraphInfo> subgraphs;
  std::vector<BufferInfo> buffers;
  std::vector<SignatureInfo> signatures;
};

/// Reads what is here; the rest is noted in `file`, and the whole is read again once it came.
/// Errors mean something only where nothing is missing. Contents of buffers of less than
/// `inline_below` bytes are asked for too, and of all that are sparse.
Result<FileModel> read_file(FileParts& file, uint64_t inline_below);

/// Ours; kUndefined for those that we have not.
DType dtype_of(int type);
/// "float32", "string".
std::string_view type_name(int type);

}  // namespace quern::tflite
