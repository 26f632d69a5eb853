// TensorFlow's frozen graphs, .pb: one GraphDef with its weights as constants.
#pragma once

#include <memory>

#include "import/convert/importer.h"
#include "import/tensorflow/emitter.h"
#include "import/tensorflow/node.h"

namespace quern {

/// Of a GraphDef of `size` bytes.
std::unique_ptr<Importer> make_graph_def_importer(uint64_t size, const ConvertOptions& options);

namespace tensorflow {

/// What a Const node of a GraphDef holds. Contents that stay in the file are added to the table of
/// weights. A failure of the emitter where it holds nothing that can be read.
Tensor stored_constant(Emitter& b, const NodeDef& node, std::vector<WeightInfo>& table);

}  // namespace tensorflow
}  // namespace quern
