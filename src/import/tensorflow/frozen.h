// TensorFlow's frozen graphs, .pb: one GraphDef with its weights as constants.
#pragma once

#include <memory>

#include "import/convert/importer.h"

namespace quern {

/// Of a GraphDef of `size` bytes.
std::unique_ptr<Importer> make_graph_def_importer(uint64_t size, const ConvertOptions& options);

/// What to do with a SavedModel.
std::string_view saved_model_advice();

}  // namespace quern
