// Imports models of tests.
#pragma once

#include <string>
#include <vector>

#include "import/onnx/file.h"
#include "import/onnx/testing.h"
#include "ir/print.h"
#include "ir/verify.h"

namespace quern::testing {

inline Result<Model> import_model(const Pb& file, const FileOptions& options = {}) {
  OnnxScanner scanner(options.scan);
  QUERN_TRY(scanner.feed(file.span()));
  QUERN_TRY(scanner.finish());
  QUERN_ASSIGN(Model model, import_onnx(scanner.skeleton(), scanner.weights(), options.import));
  QUERN_TRY(verify(*model.graph));
  return model;
}

/// The graph as text, or the error.
inline std::string imported(const Pb& file, const FileOptions& options = {}) {
  const auto model = import_model(file, options);
  return model ? print(*model->graph) : cat("error: ", model.error().message);
}

inline ErrorCode code_of(const Pb& file, const FileOptions& options = {}) {
  const auto model = import_model(file, options);
  return model ? ErrorCode::kInternal : model.error().code;
}

/// A model with one input x and one output y, f32[2] both.
inline Pb simple(const std::vector<Pb>& nodes, const std::vector<Pb>& initializers = {}) {
  return model(graph({.nodes = nodes,
                      .initializers = initializers,
                      .inputs = {f32_value("x")},
                      .outputs = {f32_value("y")}}));
}

}  // namespace quern::testing
