// From a TensorFlow graph to a Model.
#pragma once

#include <functional>

#include "import/tensorflow/call.h"
#include "import/tensorflow/node.h"

namespace quern::tensorflow {

/// An input or output of the model, by the name that callers use.
struct Port {
  std::string name;
  std::string tensor;  ///< "node" or "node:1"
  PartialShape shape;  ///< of an input whose placeholder says nothing
};

/// What is given of a graph beside its nodes.
struct Source {
  GraphDef graph;
  std::vector<Port> inputs;   ///< none: the placeholders
  std::vector<Port> outputs;  ///< none: nodes that no other uses
  std::string format;         ///< "TensorFlow.js"
  std::string producer;
  DType index = DType::kI64;
  /// The contents of a Const, as a constant of the graph.
  std::function<Tensor(Emitter&, const NodeDef&)> constant;
};

/// The model but for its weight table, which is that of what `constant` makes. kUnsupported with
/// all operators at once that are not known, a node of each.
Result<Model> build_model(const Source& source);

}  // namespace quern::tensorflow
