// Which tensor of the checkpoint each variable of a graph has. TensorFlow says it in three ways,
// which are tried in this order: by the operators that restore the checkpoint, which are looked at
// and not executed; by the object graphs of the SavedModel and of the checkpoint; by names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "import/saved_model/checkpoint.h"
#include "import/saved_model/proto.h"

namespace quern::saved_model {

/// The attribute that a variable has once it is bound: its tensor's key.
inline constexpr std::string_view kVariableKey = "quern.variable";

/// A node that makes a variable, or a handle of one.
struct Variable {
  tensorflow::NodeDef* node = nullptr;
  bool is_main = false;  ///< of the main graph, not of a function
};

/// Variables that the outputs need, in functions too. kUnsupported where what they need changes a
/// variable.
Result<std::vector<Variable>> needed_variables(tensorflow::GraphDef& graph,
                                               const std::vector<tensorflow::Port>& outputs);

/// Keys by the names of the main graph's variables.
using Keys = std::map<std::string, std::string, std::less<>>;

/// As RestoreV2 and what assigns its results say.
Keys restored_keys(const tensorflow::GraphDef& graph);
/// As the objects say that functions capture, and the names of variables.
Keys object_keys(const tensorflow::GraphDef& graph, const ObjectGraph& saved,
                 const ObjectGraph& stored);

/// Makes each variable a constant that has its tensor's key as kVariableKey: as none of them
/// changes, a handle is as good as the value.
void bind_variables(const std::vector<Variable>& variables, const Keys& restored,
                    const Keys& objects, const Checkpoint& checkpoint);

}  // namespace quern::saved_model
