// Which format a file has, by its contents.
#include <algorithm>

#include "import/convert/importer.h"
#include "import/scan/protobuf.h"

namespace quern {
namespace {

bool starts_with(std::span<const uint8_t> head, std::string_view prefix, size_t at = 0) {
  return head.size() >= at + prefix.size() &&
         std::equal(prefix.begin(), prefix.end(), head.begin() + static_cast<ptrdiff_t>(at),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

/// The first field of a protobuf message: its number and wire type, and a varint's value.
Format format_of_protobuf(std::span<const uint8_t> head) {
  Bytes rest = head;
  uint64_t tag = 0;
  uint64_t value = 0;
  if (!read_varint(rest, tag) || !read_varint(rest, value)) return Format::kUnknown;
  switch (tag) {
    case varint_field(1):
      // ModelProto.ir_version; SavedModel.saved_model_schema_version, always 1, then field 2.
      return value == 1 && !rest.empty() && rest[0] == bytes_field(2) &&
                     !starts_with(rest, "\x12\x04onnx")
                 ? Format::kTensorFlow
                 : Format::kOnnx;
    case bytes_field(1): {
      // GraphDef.node: a NodeDef, which begins with a name.
      uint64_t inner = 0;
      if (!read_varint(rest, inner)) return Format::kUnknown;
      return inner == bytes_field(1) && value > 1 ? Format::kTensorFlow : Format::kUnknown;
    }
    // Other fields of ModelProto, which may come in any order.
    case bytes_field(2):
    case bytes_field(3):
    case bytes_field(4):
    case varint_field(5):
    case bytes_field(6):
    case bytes_field(7):
    case bytes_field(8):
    case bytes_field(14):
    case bytes_field(20):
    case bytes_field(25):
      return Format::kOnnx;
    default:
      return Format::kUnknown;
  }
}

}  // namespace

std::string_view name_of(Format format) {
  switch (format) {
    case Format::kOnnx:
      return "ONNX";
    case Format::kTorchExport:
      return "torch.export";
    case Format::kTorchScript:
      return "TorchScript";
    case Format::kTorchWeights:
      return "PyTorch weights";
    case Format::kZip:
      return "zip";
    case Format::kTensorFlowJs:
      return "TensorFlow.js";
    case Format::kJson:
      return "JSON";
    case Format::kTfLite:
      return "TFLite";
    case Format::kTensorFlow:
      return "TensorFlow";
    case Format::kHdf5:
      return "HDF5";
    case Format::kSafetensors:
      return "safetensors";
    case Format::kUnknown:
      break;
  }
  return "unknown";
}

Format format_of(std::span<const uint8_t> head) {
  if (starts_with(head, "PK\x03\x04") || starts_with(head, "PK\x05\x06")) return Format::kZip;
  if (starts_with(head, "TFL3", 4)) return Format::kTfLite;
  if (starts_with(head, "\x89HDF\r\n\x1a\n")) return Format::kHdf5;
  // A pickle of protocol 2 to 5: torch.save of before 1.6 begins with its magic number, a long.
  if (head.size() > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5) {
    return Format::kTorchWeights;
  }
  // Safetensors: the length of a JSON object, and that.
  if (head.size() > 9 && head[8] == '{' && head[6] == 0 && head[7] == 0) {
    return Format::kSafetensors;
  }
  size_t at = starts_with(head, "\xef\xbb\xbf") ? 3 : 0;
  while (at < head.size() && (head[at] == ' ' || (head[at] >= '\t' && head[at] <= '\r'))) ++at;
  if (at < head.size() && head[at] == '{') {
    const std::string_view text(reinterpret_cast<const char*>(head.data()), head.size());
    for (const std::string_view key : {"\"format\"", "\"modelTopology\"", "\"weightsManifest\"",
                                       "\"generatedBy\"", "\"convertedBy\""}) {
      if (text.find(key) != text.npos) return Format::kTensorFlowJs;
    }
    return Format::kJson;
  }
  return format_of_protobuf(head);
}

Format format_of_zip(const std::vector<std::string_view>& names) {
  bool code = false;
  bool data = false;
  for (std::string_view name : names) {
    if (name == "serialized_exported_program.json") return Format::kTorchExport;
    // Newer archives have all in one folder.
    const std::string_view inside = name.substr(std::min(name.find('/'), name.size() - 1) + 1);
    const auto is_model = [](std::string_view path) {
      return path.starts_with("models/") && path.ends_with(".json");
    };
    if (is_model(name) || is_model(inside)) return Format::kTorchExport;
    code = code || inside.starts_with("code/");
    data = data || inside == "data.pkl";
  }
  if (code) return Format::kTorchScript;
  return data ? Format::kTorchWeights : Format::kZip;
}

}  // namespace quern
