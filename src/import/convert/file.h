// Loading a model file of any format from disk: for native programs and tests.
#pragma once
#ifndef __EMSCRIPTEN__

#include <string>

#include "import/convert/importer.h"
#include "import/onnx/file.h"

namespace quern {

/// As load_onnx_file, the format told by the file's contents. Others than ONNX go the way that they
/// go in a browser: converted to ONNX, whose weights are then read out of the file. A folder is a
/// SavedModel.
Result<LoadedModel> load_model_file(const std::string& path, const FileOptions& options = {},
                                    const ConvertOptions& convert = {});

/// The same from memory; external files are looked for in `folder`.
Result<LoadedModel> load_model(std::span<const uint8_t> bytes, const std::string& folder = ".",
                               const FileOptions& options = {}, const ConvertOptions& convert = {});

}  // namespace quern

#endif
