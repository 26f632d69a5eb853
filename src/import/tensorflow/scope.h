// Where nodes are translated: the main graph, a function, a branch, the body of a loop.
#pragma once

#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "import/tensorflow/graph.h"
#include "import/tensorflow/operators.h"

namespace quern::tensorflow {

/// Is it that operator, or its form over references ("RefSwitch")?
bool is_op(const NodeDef* node, std::string_view name);

/// The nodes of a graph or a function by name, with what control flow needs to know of them.
struct Nodes {
  explicit Nodes(const std::vector<NodeDef>& list, const FunctionDef* function = nullptr);

  [[nodiscard]] const NodeDef* find(std::string_view name) const;
  /// The conditions that an input is computed under.
  using Conditions = std::set<std::pair<std::string_view, bool>>;
  [[nodiscard]] Conditions conditions_of(std::string_view input) const;

  const std::vector<NodeDef>& list;
  const FunctionDef* function = nullptr;
  std::unordered_map<std::string_view, const NodeDef*> by_name;
  std::unordered_map<const NodeDef*, Conditions> conditions;
  /// Of Merges that join branches: the predicate, and which input is whose.
  struct Join {
    std::string_view predicate;
    size_t when_true = 0, when_false = 1;
  };
  std::unordered_map<const NodeDef*, Join> joins;
  /// Loops by their frame: the Merges of its variables.
  struct Loop {
    std::vector<const NodeDef*> variables;  ///< Merges of an Enter and a NextIteration
    const NodeDef* condition = nullptr;     ///< LoopCond
  };
  std::map<std::string, Loop, std::less<>> loops;
  std::unordered_map<const NodeDef*, std::string> loop_of;  ///< of Merges, Switches, Exits

 private:
  void find_loops();
  void find_conditions();
};

/// Values of nodes where they are translated. Inner scopes see those of outer ones.
struct Scope {
  Scope* outer = nullptr;  ///< of the same nodes
  const Nodes* nodes = nullptr;
  Emitter* b = nullptr;
  /// A branch: nodes under this condition are its own, others the outer scope's.
  std::string_view predicate;
  bool side = false;
  bool is_branch = false;
  /// A loop's body: its invariants are the outer scope's.
  const std::string* frame = nullptr;
  int depth = 0;
  std::unordered_map<const NodeDef*, std::vector<Tensor>> values;
  std::map<std::string, Tensor, std::less<>> arguments;  ///< of a function
};

/// Translates nodes in demand order. Errors are the scope's emitter's.
class Translator {
 public:
  Translator(const Source& source, Graph& root, Shared& shared)
      : source_(source), root_(root, shared), shared_(shared) {}

  /// The value of an input such as "node:1".
  Tensor value(Scope& scope, std::string_view input);
  /// The results of a function.
  std::vector<Tensor> call(Scope& caller, const std::string& name,
                           const std::vector<Tensor>& arguments, Emitter& b);
  Emitter& root() { return root_; }

 private:
  void require(Scope& scope, const NodeDef* wanted);
  void translate(Scope& scope, const NodeDef& node);
  /// The scope that a node seen from `scope` is translated in.
  Scope& home(Scope& scope, const NodeDef& node);
  const std::vector<Tensor>* find(Scope& scope, const NodeDef* node);
  std::vector<Tensor> inputs(Scope& scope, const NodeDef& node);
  /// Data inputs that have to be there before a node.
  std::vector<std::string_view> needs(Scope& scope, const NodeDef& node);

  void loop(Scope& scope, const NodeDef& exit);
  void branches(Scope& scope, const NodeDef& merge);
  void while_call(Scope& scope, const NodeDef& node);
  void if_call(Scope& scope, const NodeDef& node);
  void case_call(Scope& scope, const NodeDef& node);
  /// Functions of which one is called: that at an index, of which the first one's is `first`.
  struct Branches {
    std::span<const std::string> names;
    size_t first;
    Tensor index;
    const std::vector<Tensor>& arguments;
  };
  std::vector<Tensor> case_branch(Scope& scope, const Branches& branches, Emitter& b);
  /// Counts what is translated; a failure of the emitter where it is too much.
  bool step(Emitter& b);
  const Nodes& function_nodes(const FunctionDef& function);

  const Source& source_;
  Emitter root_;
  Shared& shared_;
  std::map<const FunctionDef*, std::unique_ptr<Nodes>> functions_;
  /// How often require() is within itself, by loops, branches and calls.
  int levels_ = 0;
};

/// What both branches or all iterations of a value have in common.
Tensor common(Emitter& b, Tensor result, const Tensor& x, const Tensor& y);
/// Makes x an output of a body: a value of its own.
void add_output(Emitter& b, const Tensor& x);

}  // namespace quern::tensorflow
