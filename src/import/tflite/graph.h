// From the structure of a TFLite file to a Model.
#pragma once

#include "import/tflite/schema.h"

namespace quern::tflite {

/// The model of a file's first subgraph; others are bodies of its operators. Inputs and outputs
/// have the names of its signature where it has one, else those of the tensors. kUnsupported with
/// all operators that are not known at once.
Result<Model> build_model(const FileModel& file, FileParts& parts, const ConvertOptions& options);

}  // namespace quern::tflite
