#include "ops/common/microsoft.h"

namespace quern {

Result<bool> expand_as_onnx(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const std::vector<Value*> outputs = e.add_many(node.op, node.inputs, node.outputs.size());
  outputs[0]->producer->attributes = node.attributes;
  for (size_t i = 0; i < outputs.size(); ++i) e.replace(i, outputs[i]);
  e.finish();
  return true;
}

}  // namespace quern
