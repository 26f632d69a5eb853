// Reads GraphDef protobufs: tensorflow/core/framework/graph.proto.
#pragma once

#include "import/scan/protobuf.h"
#include "import/tensorflow/node.h"

namespace quern::tensorflow {

/// Of a message within a file: tensors of `stay_from` bytes or more are places in the file, not
/// copies.
Result<GraphDef> read_graph_def(Bytes message, uint64_t stay_from, Bytes file);

/// A TensorShapeProto.
Result<PartialShape> read_shape(Bytes message);

}  // namespace quern::tensorflow
