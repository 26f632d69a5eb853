// Layers models of TensorFlow.js, which are Keras's: Sequential and Functional ones.
#pragma once

#include "import/json/json.h"
#include "import/tfjs/weights.h"
#include "ir/graph.h"

namespace quern::tfjs {

/// Is it the topology of a layers model?
bool is_layers_topology(const Json& topology);

/// The model but for its weight table. kUnsupported with all kinds of layers at once that are not
/// known, a layer of each.
Result<Model> build_layers_model(const Json& topology, Weights& weights);

}  // namespace quern::tfjs
