// The graph of a TensorFlow.js graph model: a GraphDef in protobuf's JSON form.
#pragma once

#include "import/json/json.h"
#include "import/tensorflow/node.h"

namespace quern::tfjs {

/// Of "modelTopology". Types that TensorFlow.js does not have are those that it takes for them:
/// f32 for other floats, i32 for other integers.
Result<tensorflow::GraphDef> read_topology(const Json& topology);

/// An element type by its name or number in JSON.
DType read_dtype(const Json& json);
/// A TensorShapeProto.
tensorflow::PartialShape read_shape(const Json& json);

}  // namespace quern::tfjs
