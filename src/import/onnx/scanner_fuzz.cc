// Any bytes scan and import to a graph that verifies, or to an error; and in chunks of any size
// to the same skeleton. The first byte chooses the chunks' size and the threshold.
#include <algorithm>
#include <cstdlib>

#include "import/onnx/import.h"
#include "ir/verify.h"

namespace {

bool scan(quern::OnnxScanner& scanner, std::span<const uint8_t> bytes, size_t chunk) {
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(chunk, bytes.size()));
    if (!scanner.feed(part)) return false;
    bytes = bytes.subspan(part.size());
  }
  return scanner.finish().has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::span<const uint8_t> file(data + 1, size - 1);
  const quern::ScanOptions options{.payload_threshold = data[0] & 1 ? 65536u : 8u,
                                   .max_skeleton = 1 << 20};
  quern::OnnxScanner whole(options);
  quern::OnnxScanner parts(options);
  const bool scanned = scan(whole, file, file.size());
  if (scan(parts, file, (data[0] >> 1) + size_t{1}) != scanned) std::abort();
  if (!scanned) return 0;
  if (!std::ranges::equal(whole.skeleton(), parts.skeleton())) std::abort();
  const auto model = quern::import_onnx(whole.skeleton(), whole.weights(),
                                        {.memory_limit = 64 << 20, .sparse_limit = 1 << 20});
  if (model && !quern::verify(*model->graph)) std::abort();
  return 0;
}
