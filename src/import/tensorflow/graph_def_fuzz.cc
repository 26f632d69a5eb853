// GraphDefs: whatever the bytes, an error or a model that ONNX can say.
#include <cstdlib>

#include "import/convert/onnx_writer.h"
#include "import/tensorflow/frozen.h"
#include "ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace quern;  // NOLINT(google-build-using-namespace)
  const auto importer =
      make_graph_def_importer(size, {.memory_limit = 16 << 20, .inline_below = UINT64_MAX});
  const std::span<const uint8_t> file(data, size);
  if (!importer->advance({})) return 0;
  if (!importer->advance(std::vector{file})) return 0;
  const auto model = importer->take();
  if (!model) return 0;
  if (!verify(*model->graph)) std::abort();
  (void)write_onnx(*model);
  return 0;
}
