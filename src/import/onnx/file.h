// Loading an ONNX file from disk: for native programs and tests.
#pragma once
#ifndef __EMSCRIPTEN__

#include <cstdint>
#include <string>
#include <vector>

#include "import/onnx/import.h"

namespace quern {

struct FileOptions {
  ScanOptions scan;
  ImportOptions import;
  uint64_t weight_limit = uint64_t{8} << 30;  ///< bytes of all weights; kLimit past it
  size_t chunk = 1 << 20;                     ///< bytes read at a time
};

/// A model with its weights. Weights below the scanner's threshold, as external files may hold,
/// are in the graph as inline constants, and empty here.
struct LoadedModel {
  Model model;
  std::vector<std::vector<uint8_t>> weights;  ///< by number; empty where nothing uses it
};

/// Reads a model, and the external files it names in its folder; kInvalidArgument where a file
/// can't be read, kInvalidModel where one is too short.
Result<LoadedModel> load_onnx_file(const std::string& path, const FileOptions& options = {});
/// The same from memory; external files are looked for in `folder`.
Result<LoadedModel> load_onnx(std::span<const uint8_t> bytes, const std::string& folder = ".",
                              const FileOptions& options = {});

}  // namespace quern

#endif
