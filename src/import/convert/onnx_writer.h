// A model as an ONNX file: what importers hand to the core, and `quern convert` writes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ir/graph.h"

namespace quern {

struct OnnxWriteOptions {
  /// The external data file that stands for WeightInfo::file "", the model's own.
  std::string own_file = "weights";
  /// Weights by number, to be put into the file instead of references to their place; those that
  /// are empty, or missing, stay references.
  std::span<const std::vector<uint8_t>> weights;
};

/// The model as a ModelProto of IR version 10. Names are made unique; bounds of symbolic dims,
/// which ONNX cannot say, go to the metadata under kDimBoundsKey. kUnsupported past 2 GiB,
/// protobuf's limit.
Result<std::vector<uint8_t>> write_onnx(const Model& model, const OnnxWriteOptions& options = {});

}  // namespace quern
