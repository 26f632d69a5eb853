// Archives, and programs in them: whatever the bytes, an error or a model that ONNX can say.
#include <cstdlib>

#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"
#include "import/zip/zip_writer.h"
#include "ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> file(data + 1, data + size);
  if ((data[0] & 1) != 0) {
    // The program alone: what is around it would be broken first.
    file = quern::ZipWriter()
               .add("m/models/model.json",
                    {reinterpret_cast<const char*>(data + 1), static_cast<size_t>(size - 1)})
               .finish();
  }
  const auto model =
      quern::import_bytes(file, {.memory_limit = 16 << 20, .inline_below = UINT64_MAX});
  if (!model) return 0;
  if (!quern::verify(*model->graph)) std::abort();
  (void)quern::write_onnx(*model);
  return 0;
}
