#include "import/onnx/file.h"
#ifndef __EMSCRIPTEN__

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>

namespace quern {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

Result<File> open(const std::string& path) {
  File file(std::fopen(path.c_str(), "rb"));
  // A folder opens, but can't be read.
  if (!file || (std::fgetc(file.get()) == EOF && std::ferror(file.get()))) {
    return invalid_argument(cat("cannot read '", path, "'"));
  }
  std::rewind(file.get());
  return file;
}

/// Gathers the weights that a scanner finds in the chunks fed to it.
class WeightSink {
 public:
  WeightSink(const FileOptions& options) : options_(options), scanner_(options.scan) {}

  Result<void> feed(std::span<const uint8_t> chunk) {
    while (!chunk.empty()) {
      // What is payload need not pass through the scanner.
      const auto skip =
          static_cast<size_t>(std::min<uint64_t>(scanner_.payload_ahead(), chunk.size()));
      if (skip > 0) {
        QUERN_TRY(scanner_.skip_payload(skip));
      } else {
        QUERN_TRY(scanner_.feed(chunk));
      }
      for (const WeightRange& range : scanner_.ranges()) {
        weights_.resize(std::max<size_t>(weights_.size(), range.weight + 1));
        std::vector<uint8_t>& bytes = weights_[range.weight];
        total_ += range.length;
        if (total_ > options_.weight_limit) {
          return limit_exceeded(cat("weights take more than ", options_.weight_limit, " bytes"));
        }
        const auto from = chunk.begin() + static_cast<ptrdiff_t>(range.chunk_offset);
        bytes.insert(bytes.end(), from, from + static_cast<ptrdiff_t>(range.length));
      }
      chunk = chunk.subspan(skip > 0 ? skip : chunk.size());
    }
    return {};
  }

  Result<LoadedModel> finish(const std::string& folder) {
    QUERN_TRY(scanner_.finish());
    LoadedModel loaded;
    QUERN_ASSIGN(loaded.model,
                 import_onnx(scanner_.skeleton(), scanner_.weights(), options_.import));
    loaded.weights = std::move(weights_);
    const size_t count = loaded.model.weights.size();
    loaded.weights.resize(count);
    for (uint32_t i = 0; i < count; ++i) {
      const WeightInfo& info = loaded.model.weights[i];
      if (info.dtype == DType::kUndefined) loaded.weights[i] = {};
      if (info.dtype == DType::kUndefined || info.file.empty()) continue;
      QUERN_TRY(read_external(info, folder, loaded.weights[i]));
      if (info.byte_length >= options_.scan.payload_threshold) continue;
      QUERN_TRY(set_weight_bytes(loaded.model, i, loaded.weights[i]));
      loaded.weights[i] = {};
    }
    return loaded;
  }

 private:
  Result<void> read_external(const WeightInfo& info, const std::string& folder,
                             std::vector<uint8_t>& bytes) {
    const std::string path = cat(folder, "/", info.file);
    QUERN_ASSIGN(const File file, open(path));
    std::fseek(file.get(), 0, SEEK_END);
    const auto size = static_cast<uint64_t>(std::ftell(file.get()));
    if (info.byte_length > size || info.file_offset > size - info.byte_length) {
      return invalid_model(cat("external data file '", path, "' has ", size, " bytes; tensor '",
                               info.name, "' needs ", info.byte_length, " from byte ",
                               info.file_offset));
    }
    total_ += info.byte_length;
    if (total_ > options_.weight_limit) {
      return limit_exceeded(cat("weights take more than ", options_.weight_limit, " bytes"));
    }
    bytes.resize(info.byte_length);
    std::fseek(file.get(), static_cast<long>(info.file_offset), SEEK_SET);
    if (std::fread(bytes.data(), 1, bytes.size(), file.get()) != bytes.size()) {
      return invalid_argument(cat("cannot read '", path, "'"));
    }
    return {};
  }

  const FileOptions& options_;
  OnnxScanner scanner_;
  std::vector<std::vector<uint8_t>> weights_;
  uint64_t total_ = 0;
};

}  // namespace

Result<LoadedModel> load_onnx_file(const std::string& path, const FileOptions& options) {
  QUERN_ASSIGN(const File file, open(path));
  WeightSink sink(options);
  std::vector<uint8_t> chunk(std::max<size_t>(options.chunk, 1));
  while (const size_t count = std::fread(chunk.data(), 1, chunk.size(), file.get())) {
    QUERN_TRY(sink.feed(std::span(chunk).first(count)));
  }
  if (std::ferror(file.get())) return invalid_argument(cat("cannot read '", path, "'"));
  const size_t slash = path.rfind('/');
  return sink.finish(slash == path.npos ? "." : path.substr(0, slash));
}

Result<LoadedModel> load_onnx(std::span<const uint8_t> bytes, const std::string& folder,
                              const FileOptions& options) {
  WeightSink sink(options);
  QUERN_TRY(sink.feed(bytes));
  return sink.finish(folder);
}

}  // namespace quern

#endif
