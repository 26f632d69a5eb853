// TFLite files: from bytes to a Model.
#pragma once

#include <memory>

#include "import/convert/importer.h"

namespace quern {

/// Reads a .tflite file of `size` bytes.
std::unique_ptr<Importer> make_tflite_importer(uint64_t size, const ConvertOptions& options);

}  // namespace quern
