// TensorFlow's SavedModels: saved_model.pb, and the checkpoint in the folder variables beside it.
#pragma once

#include <memory>

#include "import/convert/importer.h"

namespace quern {

/// Of a saved_model.pb of `size` bytes.
std::unique_ptr<Importer> make_saved_model_importer(uint64_t size, const ConvertOptions& options);

}  // namespace quern
