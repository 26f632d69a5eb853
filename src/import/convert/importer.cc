#include "import/convert/importer.h"

#include "import/tflite/file.h"
#include "import/torch/archive.h"

namespace quern {

Result<std::unique_ptr<Importer>> make_importer(std::span<const uint8_t> head, uint64_t size,
                                                const ConvertOptions& options) {
  const Format format = format_of(head);
  switch (format) {
    case Format::kZip:
      return make_torch_importer(size, options);
    case Format::kTfLite:
      return make_tflite_importer(size, options);
    case Format::kTorchWeights:
      return unsupported(torch_advice(format));
    case Format::kOnnx:
      return internal_error("ONNX files need no importer");
    case Format::kUnknown:
    case Format::kJson:
      return invalid_model(
          "a file of no known format: ONNX, TFLite and torch.export archives are read");
    default:
      return unsupported(cat("a file of the format ", name_of(format),
                             ": ONNX, TFLite and torch.export archives are read"));
  }
}

Result<Model> import_bytes(std::span<const uint8_t> file, const ConvertOptions& options) {
  QUERN_ASSIGN(const auto importer, make_importer(file.first(std::min<size_t>(file.size(), 4096)),
                                                  file.size(), options));
  std::vector<std::span<const uint8_t>> parts;
  for (;;) {
    QUERN_ASSIGN(const std::vector<ByteRange> wanted, importer->advance(parts));
    if (wanted.empty()) return importer->take();
    parts.clear();
    for (const ByteRange& range : wanted) {
      if (range.offset > file.size() || range.length > file.size() - range.offset) {
        return internal_error("a range outside of the file");
      }
      parts.push_back(
          file.subspan(static_cast<size_t>(range.offset), static_cast<size_t>(range.length)));
    }
  }
}

}  // namespace quern
