// The push scanner for ONNX files: see import/scan/push_scanner.h.
#pragma once

#include "import/scan/push_scanner.h"

namespace quern {

/// Walks a ModelProto. Weights are large raw_data, float_data and double_data of tensors anywhere
/// in the model; documentation, training information and nodes' metadata are left out.
class OnnxScanner : public PushScanner {
 public:
  explicit OnnxScanner(const ScanOptions& options = {});
};

}  // namespace quern
