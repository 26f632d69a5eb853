// Archives, and programs in them: whatever the bytes, an error or a model that ONNX can say.
#include <cstdlib>

#include "import/convert/importer.h"
#include "import/convert/onnx_writer.h"
#include "import/zip/zip_writer.h"
#include "ir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::vector<uint8_t> file(data + 1, data + size);
  const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
  if (data[0] % 3 == 1) {
    // The program alone: what is around it would be broken first.
    file = quern::ZipWriter().add("m/models/model.json", rest).finish();
  } else if (data[0] % 3 == 2) {
    // The pickle of weights alone.
    const auto saved =
        quern::ZipWriter().add("a/data.pkl", rest).add("a/data/0", "12345678").finish();
    const std::string_view state(reinterpret_cast<const char*>(saved.data()), saved.size());
    file = quern::ZipWriter()
               .add("serialized_exported_program.json",
                    R"({"graph_module": {}, "schema_version": {"major": 8}})")
               .add("serialized_state_dict.pt", state)
               .finish();
  }
  const auto model =
      quern::import_bytes(file, {.memory_limit = 16 << 20, .inline_below = UINT64_MAX});
  if (!model) return 0;
  if (!quern::verify(*model->graph)) std::abort();
  if (const auto written = quern::write_onnx(*model); !written) return 0;
  return 0;
}
