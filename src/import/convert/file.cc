#include "import/convert/file.h"
#ifndef __EMSCRIPTEN__

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>

#include "import/convert/onnx_writer.h"

namespace quern {
namespace {

constexpr size_t kHead = 4096;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

using OpenFile = std::unique_ptr<std::FILE, Close>;

Result<std::vector<uint8_t>> read_range(std::FILE* file, const std::string& path,
                                        const ByteRange& range) {
  std::fseek(file, 0, SEEK_END);
  const auto size = static_cast<uint64_t>(std::ftell(file));
  if (range.is_size) {
    std::vector<uint8_t> bytes(8);
    store_bits(DType::kU64, bytes.data(), 0, size);
    return bytes;
  }
  if (range.offset > size || range.length > size - range.offset) {
    return invalid_model(cat("'", path, "' has ", size, " bytes; ", range.length, " from byte ",
                             range.offset, " are needed"));
  }
  std::vector<uint8_t> bytes(range.length);
  std::fseek(file, static_cast<long>(range.offset), SEEK_SET);
  if (std::fread(bytes.data(), 1, bytes.size(), file) != bytes.size()) {
    return invalid_argument(cat("cannot read '", path, "'"));
  }
  return bytes;
}

/// Reads files in a folder, each opened once.
class FolderReader {
 public:
  explicit FolderReader(std::string folder) : folder_(std::move(folder)) {}

  Result<std::vector<uint8_t>> read(const ByteRange& range) {
    if (!is_inside_folder(range.file)) {
      return invalid_model(cat("the file '", range.file, "' is outside of the model's folder"));
    }
    const std::string path = cat(folder_, "/", range.file);
    OpenFile& file = files_[range.file];
    if (!file) file.reset(std::fopen(path.c_str(), "rb"));
    if (!file) return invalid_argument(cat("cannot read '", path, "'"));
    return read_range(file.get(), path, range);
  }

 private:
  std::string folder_;
  std::map<std::string, OpenFile> files_;
};

/// Drives an importer; gives the model as ONNX with the file's own data under `name`.
Result<std::vector<uint8_t>> convert(Importer& importer, const ReadRange& read,
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

/// A SavedModel is a folder: the file in it that names the others.
std::string model_of(const std::string& path) {
  std::error_code error;
  return std::filesystem::is_directory(path, error) ? cat(path, "/saved_model.pb") : path;
}

}  // namespace

Result<LoadedModel> load_model_file(const std::string& path, const FileOptions& options,
                                    const ConvertOptions& convert_options) {
  const std::string model = model_of(path);
  const OpenFile file(std::fopen(model.c_str(), "rb"));
  if (!file) return invalid_argument(cat("cannot read '", model, "'"));
  const size_t slash = model.rfind('/');
  const std::string folder = slash == model.npos ? "." : model.substr(0, slash);
  FolderReader others(folder);
  const ReadRange read = [&](const ByteRange& range) {
    return range.file.empty() ? read_range(file.get(), model, range) : others.read(range);
  };
  std::vector<uint8_t> head(kHead);
  head.resize(std::fread(head.data(), 1, head.size(), file.get()));
  const Format format = format_of(head);
  if (format == Format::kOnnx || head.empty()) return load_onnx_file(model, options);
  std::fseek(file.get(), 0, SEEK_END);
  const auto size = static_cast<uint64_t>(std::ftell(file.get()));
  QUERN_ASSIGN(const auto importer, make_importer(head, size, convert_options));
  const std::string name = model.substr(slash == model.npos ? 0 : slash + 1);
  QUERN_ASSIGN(const std::vector<uint8_t> onnx, convert(*importer, read, name));
  return load_onnx(onnx, folder, options);
}

Result<LoadedModel> load_model(std::span<const uint8_t> bytes, const std::string& folder,
                               const FileOptions& options, const ConvertOptions& convert_options) {
  const auto head = bytes.first(std::min(bytes.size(), kHead));
  if (format_of(head) == Format::kOnnx) return load_onnx(bytes, folder, options);
  ConvertOptions inlined = convert_options;
  // There is no file to leave weights in.
  inlined.inline_below = UINT64_MAX;
  FolderReader others(folder);
  QUERN_ASSIGN(const Model model, import_bytes(bytes, inlined, [&](const ByteRange& range) {
                 return others.read(range);
               }));
  QUERN_ASSIGN(const std::vector<uint8_t> onnx, write_onnx(model));
  return load_onnx(onnx, folder, options);
}

}  // namespace quern

#endif
