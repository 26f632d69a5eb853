// Reads SavedModel protobufs: tensorflow/core/protobuf/{saved_model, meta_graph,
// saved_object_graph, trackable_object_graph}.proto.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "import/scan/protobuf.h"
#include "import/tensorflow/graph.h"

namespace quern::saved_model {

struct Signature {
  std::string name;
  std::vector<tensorflow::Port> inputs, outputs;  ///< by name
};

/// A node of an object graph: of the SavedModel, or of a checkpoint.
struct Object {
  std::map<std::string, size_t, std::less<>> children;
  bool is_variable = false;
  std::string name;            ///< of a variable
  std::string checkpoint_key;  ///< of a checkpoint's object that holds a variable's value
};

/// The first object is the root.
struct ObjectGraph {
  std::vector<Object> nodes;
  /// The objects that functions capture, their last arguments, by the functions' names.
  std::map<std::string, std::vector<size_t>, std::less<>> bound_inputs;
};

struct MetaGraph {
  std::vector<std::string> tags;
  std::string version;  ///< of TensorFlow
  tensorflow::GraphDef graph;
  std::vector<Signature> signatures;  ///< by name
  ObjectGraph objects;
};

/// The graph that is tagged "serve", or the only one. Tensors of `stay_from` bytes or more are
/// places in the file. kInvalidModel, kUnsupported where several graphs are tagged otherwise.
Result<MetaGraph> read_saved_model(Bytes file, uint64_t stay_from);

/// A checkpoint's TrackableObjectGraph.
Result<ObjectGraph> read_checkpoint_objects(Bytes message);

}  // namespace quern::saved_model
