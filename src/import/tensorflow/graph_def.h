// Reads GraphDef protobufs: tensorflow/core/framework/graph.proto.
#pragma once

#include "import/scan/protobuf.h"
#include "import/tensorflow/node.h"

namespace quern::tensorflow {

/// Of a whole file: tensors of `stay_from` bytes or more are places in it, not copies.
Result<GraphDef> read_graph_def(Bytes file, uint64_t stay_from);

}  // namespace quern::tensorflow
