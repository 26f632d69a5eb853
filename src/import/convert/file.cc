#include "import/convert/file.h"
#ifndef __EMSCRIPTEN__

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>

#include "import/convert/onnx_writer.h"

namespace quern {
namespace {

constexpr size_t kHead = 4096;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

using Read = std::function<Result<std::vector<uint8_t>>(const ByteRange&)>;

/// Drives an importer; gives the model as ONNX with the file's own data under `name`.
Result<std::vector<uint8_t>> convert(Importer& importer, const Read& read,
                                     const std::string& name) {
  std::vector<std::vector<uint8_t>> parts;
  for (;;) {
    const std::vector<std::span<const uint8_t>> views(parts.begin(), parts.end());
    QUERN_ASSIGN(const std::vector<ByteRange> wanted, importer.advance(views));
    if (wanted.empty()) break;
    parts.clear();
    for (const ByteRange& range : wanted) {
      QUERN_ASSIGN(std::vector<uint8_t> part, read(range));
      parts.push_back(std::move(part));
    }
  }
  QUERN_ASSIGN(const Model model, importer.take());
  return write_onnx(model, {.own_file = name});
}

}  // namespace

Result<LoadedModel> load_model_file(const std::string& path, const FileOptions& options,
                                    const ConvertOptions& convert_options) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (!file) return invalid_argument(cat("cannot read '", path, "'"));
  const Read read = [&](const ByteRange& range) -> Result<std::vector<uint8_t>> {
    std::vector<uint8_t> bytes(range.length);
    std::fseek(file.get(), static_cast<long>(range.offset), SEEK_SET);
    if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
      return invalid_argument(cat("cannot read '", path, "'"));
    }
    return bytes;
  };
  std::vector<uint8_t> head(kHead);
  head.resize(std::fread(head.data(), 1, head.size(), file.get()));
  const Format format = format_of(head);
  if (format == Format::kOnnx || head.empty()) return load_onnx_file(path, options);
  std::fseek(file.get(), 0, SEEK_END);
  const auto size = static_cast<uint64_t>(std::ftell(file.get()));
  QUERN_ASSIGN(const auto importer, make_importer(head, size, convert_options));
  const size_t slash = path.rfind('/');
  const std::string name = path.substr(slash == path.npos ? 0 : slash + 1);
  QUERN_ASSIGN(const std::vector<uint8_t> onnx, convert(*importer, read, name));
  return load_onnx(onnx, slash == path.npos ? "." : path.substr(0, slash), options);
}

Result<LoadedModel> load_model(std::span<const uint8_t> bytes, const std::string& folder,
                               const FileOptions& options, const ConvertOptions& convert_options) {
  const auto head = bytes.first(std::min(bytes.size(), kHead));
  if (format_of(head) == Format::kOnnx) return load_onnx(bytes, folder, options);
  ConvertOptions inlined = convert_options;
  // There is no file to leave weights in.
  inlined.inline_below = UINT64_MAX;
  QUERN_ASSIGN(const Model model, import_bytes(bytes, inlined));
  QUERN_ASSIGN(const std::vector<uint8_t> onnx, write_onnx(model));
  return load_onnx(onnx, folder, options);
}

}  // namespace quern

#endif
