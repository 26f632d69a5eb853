// model.json: whatever the text, an error or a model that ONNX can say. Shards hold zeros.
#include <cstdlib>

#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"
#include "import/tfjs/model_json.h"
#include "ir/verify.h"

namespace {

constexpr uint64_t kShard = 1 << 20;

quern::Result<std::vector<uint8_t>> read_shard(const quern::ByteRange& range) {
  std::vector<uint8_t> bytes(range.length);
  if (range.is_size) quern::store_bits(quern::DType::kU64, bytes.data(), 0, kShard);
  return bytes;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quern;  // NOLINT(google-build-using-namespace)
  const auto importer =
      make_tfjs_importer(size, {.memory_limit = 16 << 20, .inline_below = UINT64_MAX});
  std::vector<std::vector<uint8_t>> held;
  std::vector<std::span<const uint8_t>> parts;
  for (;;) {
    const auto wanted = importer->advance(parts);
    if (!wanted) return 0;
    if (wanted->empty()) break;
    held.clear();
    parts.clear();
    for (const ByteRange& range : *wanted) {
      if (range.file.empty()) {
        held.emplace_back(data + range.offset, data + range.offset + range.length);
      } else {
        held.push_back(*read_shard(range));
      }
    }
    parts.assign(held.begin(), held.end());
  }
  const auto model = importer->take();
  if (!model) return 0;
  if (!verify(*model->graph)) std::abort();
  (void)write_onnx(*model);
  return 0;
}
