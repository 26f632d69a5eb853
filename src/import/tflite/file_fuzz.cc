// TFLite files: whatever the bytes, an error or a model that ONNX can say.
#include <algorithm>
#include <cstdlib>

#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"
#include "ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> file(data, data + size);
  // The identifier is no part of what is to be found.
  if (file.size() >= 8) std::copy_n("TFL3", 4, file.begin() + 4);
  const auto model =
      quern::import_bytes(file, {.memory_limit = 16 << 20, .inline_below = UINT64_MAX});
  if (!model) return 0;
  if (!quern::verify(*model->graph)) std::abort();
  (void)quern::write_onnx(*model);
  return 0;
}
