// TensorFlow.js models: model.json, and the shards of weights that it names.
#pragma once

#include <memory>

#include "import/convert/importer.h"

namespace quern {

/// Of a model.json of `size` bytes: graph models and layers models.
std::unique_ptr<Importer> make_tfjs_importer(uint64_t size, const ConvertOptions& options);

}  // namespace quern
