#include "import/convert/importer.h"

#include <algorithm>
#include <deque>

#include "import/saved_model/importer.h"
#include "import/tensorflow/frozen.h"
#include "import/tfjs/model_json.h"
#include "import/tflite/file.h"
#include "import/torch/archive.h"

namespace quern {
namespace {

constexpr std::string_view kRead =
    "ONNX, torch.export archives, TensorFlow.js, SavedModels, frozen GraphDefs and TFLite are read";

}  // namespace

Result<std::unique_ptr<Importer>> make_importer(std::span<const uint8_t> head, uint64_t size,
                                                const ConvertOptions& options) {
  const Format format = format_of(head);
  switch (format) {
    case Format::kZip:
      return make_torch_importer(size, options);
    case Format::kTfLite:
      return make_tflite_importer(size, options);
    case Format::kTensorFlowJs:
      return make_tfjs_importer(size, options);
    case Format::kTensorFlow:
      // A SavedModel begins with its version, a varint.
      if (!head.empty() && head[0] == 8) return make_saved_model_importer(size, options);
      return make_graph_def_importer(size, options);
    case Format::kTorchWeights:
      return unsupported(torch_advice(format));
    case Format::kOnnx:
      return internal_error("ONNX files need no importer");
    case Format::kUnknown:
    case Format::kJson:
      return invalid_model(cat("a file of no known format: ", kRead));
    default:
      return unsupported(cat("a file of the format ", name_of(format), ": ", kRead));
  }
}

bool is_inside_folder(std::string_view path) {
  if (path.empty() || path.front() == '/' || path.find('\\') != path.npos ||
      path.find(':') != path.npos || path.find('\0') != path.npos) {
    return false;
  }
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    if (path.substr(at, end - at) == "..") return false;
    at = end + 1;
  }
  return true;
}

Result<Model> import_bytes(std::span<const uint8_t> file, const ConvertOptions& options,
                           const ReadRange& read_other) {
  QUERN_ASSIGN(const auto importer, make_importer(file.first(std::min<size_t>(file.size(), 4096)),
                                                  file.size(), options));
  std::vector<std::span<const uint8_t>> parts;
  std::deque<std::vector<uint8_t>> others;  // what `parts` look at
  for (;;) {
    QUERN_ASSIGN(const std::vector<ByteRange> wanted, importer->advance(parts));
    if (wanted.empty()) return importer->take();
    parts.clear();
    others.clear();
    for (const ByteRange& range : wanted) {
      if (!range.file.empty()) {
        if (!read_other) {
          return invalid_argument(cat("the model's file '", range.file, "' was not given"));
        }
        QUERN_ASSIGN(std::vector<uint8_t> bytes, read_other(range));
        others.push_back(std::move(bytes));
        parts.push_back(others.back());
        continue;
      }
      if (range.offset > file.size() || range.length > file.size() - range.offset) {
        return internal_error("a range outside of the file");
      }
      parts.push_back(
          file.subspan(static_cast<size_t>(range.offset), static_cast<size_t>(range.length)));
    }
  }
}

}  // namespace quern
