// From the JSON of an exported program to a Model.
#pragma once

#include <functional>

#include "base/result.h"
#include "import/json/json.h"
#include "import/torch/weights.h"
#include "ir/graph.h"

namespace quern::torch {

/// The names of the parameters, buffers and constants that a program has.
std::vector<std::string> stored_names(const Json& program);

/// The model of an exported program. Inputs are the user's, those that are no tensors left out;
/// buffers that change are inputs too, which a run may leave out, and outputs "NAME_out" after the
/// user's own. `fill` gives the weights their storages. kUnsupported with all operators that are
/// not known at once.
Result<Model> build_model(const Json& program, const std::function<Result<void>(Weights&)>& fill);

}  // namespace quern::torch
