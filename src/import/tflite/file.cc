#include "import/tflite/file.h"

#include "import/tflite/graph.h"

namespace quern {
namespace {

/// The structure is a tree of this depth at most; each turn reads one level, and then the buffers.
constexpr int kMostTurns = 64;

class TfliteImporter : public Importer {
 public:
  TfliteImporter(uint64_t size, const ConvertOptions& options)
      : file_(size, options.memory_limit), options_(options) {}

  Result<std::vector<ByteRange>> advance(std::span<const std::span<const uint8_t>> bytes) override {
    if (is_done_) return std::vector<ByteRange>{};
    if (bytes.size() != wanted_.size()) return internal_error("other ranges than were asked for");
    for (size_t i = 0; i < wanted_.size(); ++i) QUERN_TRY(file_.add(wanted_[i], bytes[i]));
    auto model = tflite::read_file(file_, options_.inline_below);
    wanted_ = file_.missing();
    if (wanted_.empty()) {
      QUERN_ASSIGN(model_, std::move(model));
      is_done_ = true;
      return std::vector<ByteRange>{};
    }
    if (++turns_ > kMostTurns) return invalid_model("broken TFLite file: nested too deep");
    uint64_t all = 0;
    for (const ByteRange& range : wanted_) all += range.length;
    if (all > options_.memory_limit) {
      return limit_exceeded("the model's structure takes more memory than is allowed");
    }
    return wanted_;
  }

  Result<Model> take() override {
    if (!is_done_) return internal_error("the file is not read yet");
    return tflite::build_model(model_, file_, options_);
  }

 private:
  tflite::FileParts file_;
  ConvertOptions options_;
  tflite::FileModel model_;
  std::vector<ByteRange> wanted_;
  int turns_ = 0;
  bool is_done_ = false;
};

}  // namespace

std::unique_ptr<Importer> make_tflite_importer(uint64_t size, const ConvertOptions& options) {
  return std::make_unique<TfliteImporter>(size, options);
}

}  // namespace quern
