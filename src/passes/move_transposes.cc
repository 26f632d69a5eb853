// Transposes move down past operators that work at each place, or along axes they can name, and
// cancel where they meet. Formats that keep channels last arrive as Transpose, Conv, Transpose
// around every convolution; what is left is one at the entry and one at the exit.

#include <algorithm>
#include <map>
#include <set>

#include "passes/passes.h"
#include "passes/transposes.h"

namespace quern {
namespace {

/// How far below a Transpose one that it could meet is looked for.
constexpr int kDepth = 64;

class TransposeMover {
 public:
  TransposeMover(Graph& graph, bool move, PassReport& report)
      : graph_(graph), move_(move), report_(report) {}

  Result<void> run() {
    std::vector<Node*> nodes;
    for (const auto& node : graph_.nodes()) nodes.push_back(node.get());
    for (Node* node : nodes) {
      if (node->is("Fused", "quern")) continue;
      for (Graph* body : node->subgraphs()) {
        QUERN_TRY(TransposeMover(*body, move_, report_).run());
      }
      if (node->is("Transpose")) {
        QUERN_TRY(merge(node));
      } else if (move_) {
        QUERN_TRY(pass(node));
      }
    }
    if (!move_) return {};
    nodes.clear();
    for (const auto& node : graph_.nodes()) nodes.push_back(node.get());
    for (Node* node : nodes) QUERN_TRY(view(node));
    return {};
  }

 private:
  /// A Transpose that moves axes of extent 1 alone is a Reshape, which needs no kernel.
  Result<void> view(Node* node) {
    const std::optional<Permutation> perm = permutation_of_node(node);
    if (!perm) return {};
    const Shape& shape = *node->input(0)->type.shape;
    Ints dims;
    int64_t last = -1;
    for (size_t a = 0; a < perm->size(); ++a) {
      const auto from = static_cast<size_t>((*perm)[a]);
      const std::optional<int64_t> extent = shape[from].constant();
      // In a Reshape's shape 0 means the input's extent at that place.
      if (extent ? *extent == 0 : from != a) return {};
      dims.push_back(extent ? *extent : 0);
      if (extent && *extent == 1) continue;
      if (static_cast<int64_t>(from) < last) return {};
      last = static_cast<int64_t>(from);
    }
    put_in_place(node,
                 graph_.add_node("Reshape", {node->input(0), ints(dims)}, 1, node, "", kVersion));
    ++report_.hits["transposes reshaped"];
    return {};
  }

  /// The Transpose of this graph that makes `v`, with its permutation.
  std::optional<Permutation> transposed(const Value* v) const {
    if (v == nullptr || v->producer == nullptr || v->graph != &graph_) return std::nullopt;
    return permutation_of_node(v->producer);
  }

  /// A Transpose behind another: one, or none.
  Result<void> merge(Node* node) {
    const std::optional<Permutation> outer = permutation_of_node(node);
    const std::optional<Permutation> inner = transposed(node->input(0));
    if (!outer || (!inner && !is_identity(*outer))) return {};
    Value* source = inner ? node->input(0)->producer->input(0) : node->input(0);
    const Permutation both = inner ? after(*inner, *outer) : *outer;
    if (is_identity(both)) {
      // An output keeps a node of its own, and so its name.
      if (graph_.is_output(node->outputs[0])) {
        if (!inner) return {};
        put_in_place(node, graph_.add_node("Identity", {source}, 1, node, "", node->version));
      } else {
        graph_.replace_uses(node->outputs[0], source);
      }
    } else {
      graph_.set_input(node, 0, source);
      node->attributes["perm"] = both;
    }
    ++report_.hits["transposes merged"];
    return {};
  }

  /// A node of one output, its names included.
  void put_in_place(Node* old, Node* now) {
    Value* result = now->outputs[0];
    result->name = old->outputs[0]->name;
    result->type = old->outputs[0]->type;
    graph_.replace_uses(old->outputs[0], result);
    graph_.erase(old);
  }

  /// Could a Transpose of `v` meet another one below?
  bool meets(const Value* v, const Permutation& perm, int depth) {
    if (depth > kDepth) return false;
    if (const auto known = meets_.find(v); known != meets_.end()) return known->second;
    meets_[v] = false;  // of a value on the way to itself
    for (const Use& use : v->uses) {
      if (use.node->graph != &graph_) continue;
      bool here = use.node->is("Transpose");
      if (!here) {
        const std::optional<Passage> way = passage(*use.node, perm);
        if (way && std::ranges::find(way->inputs, use.index) != way->inputs.end()) {
          for (const Value* out : use.node->outputs) {
            here = here || (out != nullptr && meets(out, way->perm, depth + 1));
          }
        }
      }
      if (here) return meets_[v] = true;
    }
    return false;
  }

  /// `v` for a place where it is transposed by `perm` afterwards, if that costs no kernel.
  std::optional<Value*> untransposed(Value* v, const Permutation& perm, Node* before) {
    if (v == nullptr) return v;
    if (!v->type.is_tensor() || !v->type.shape) return std::nullopt;
    const Shape& shape = *v->type.shape;
    if (transposed(v) == perm) return v->producer->input(0);
    if (shape.size() > perm.size()) return std::nullopt;
    size_t wide = 0;  // axes that are more than one element
    Ints dims(perm.size(), 1);
    for (size_t a = 0; a < shape.size(); ++a) {
      const std::optional<int64_t> extent = shape[a].constant();
      if (extent && *extent == 1) continue;
      ++wide;
      if (!extent) return std::nullopt;
      dims[static_cast<size_t>(perm[perm.size() - shape.size() + a])] = *extent;
    }
    if (wide == 0) return v;
    // Of one wide axis the elements stay in order.
    if (wide == 1) return reshaped(v, dims, before);
    if (!v->is_constant()) return std::nullopt;
    Ints full(perm.size() - shape.size(), 1);
    for (const Dim& dim : shape) full.push_back(*dim.constant());
    Value* x = full.size() == shape.size() ? v : reshaped(v, full, before);
    return node_before("Transpose", {x}, {{"perm", inverse(perm)}}, before);
  }

  using Ints = std::vector<int64_t>;

  Value* node_before(std::string op, std::vector<Value*> inputs,
                     std::map<std::string, AttributeValue, std::less<>> attributes, Node* before) {
    Node* node = graph_.add_node(std::move(op), std::move(inputs), 1, before, "", kVersion);
    node->attributes = std::move(attributes);
    made_.push_back(node);
    return node->outputs[0];
  }

  Value* ints(const Ints& values) {
    return graph_.add_constant(
        "", make_constant(
                HostTensor::of_ints(DType::kI64, {static_cast<int64_t>(values.size())}, values)));
  }

  Value* reshaped(Value* v, const Ints& dims, Node* before) {
    return node_before("Reshape", {v, ints(dims)}, {}, before);
  }

  Result<void> pass(Node* node) {
    std::optional<Permutation> perm;
    for (Value* v : node->inputs) {
      if (!perm) perm = transposed(v);
    }
    if (!perm) return {};
    const std::optional<Passage> way = passage(*node, *perm);
    if (!way) return {};
    // Are all that have the axes transposed, or free to be? And one of them at least is.
    size_t count = 0;
    std::set<const Value*> sources;
    for (const size_t i : way->inputs) {
      const Value* v = node->input(i);
      if (v == nullptr || transposed(v) != perm) continue;
      ++count;
      if (v->uses.size() == 1 && !graph_.is_output(v)) sources.insert(v);
    }
    if (count == 0) return {};
    bool wanted = sources.size() > 1;
    for (const Value* out : node->outputs) {
      if (out == nullptr) continue;
      if (!out->type.is_tensor() || !out->type.shape ||
          out->type.shape->size() != way->perm.size()) {
        return {};
      }
      wanted = wanted || meets(out, way->perm, 0);
    }
    if (!wanted) return {};
    made_.clear();
    std::vector<Value*> inputs = node->inputs;
    for (const size_t i : way->inputs) {
      const std::optional<Value*> source = untransposed(node->input(i), *perm, node);
      if (!source) return undo();
      inputs[i] = *source;
    }
    for (const auto& [index, values] : way->lists) {
      inputs.resize(std::max(inputs.size(), index + 1));
      inputs[index] = ints(values);
    }
    return replace(node, *way, std::move(inputs));
  }

  Result<void> undo() {
    for (size_t i = made_.size(); i-- > 0;) graph_.erase(made_[i]);
    made_.clear();
    return {};
  }

  Result<void> replace(Node* node, const Passage& way, std::vector<Value*> inputs) {
    Node* moved = graph_.add_node(node->op, std::move(inputs), node->outputs.size(), node,
                                  node->domain, node->version);
    moved->name = node->name;
    moved->attributes = node->attributes;
    for (const auto& [key, value] : way.attributes) {
      moved->attributes[std::string(key)] = value;
    }
    made_.push_back(moved);
    for (Node* made : made_) QUERN_TRY(infer_node(*made));
    for (size_t i = 0; i < node->outputs.size(); ++i) {
      Value* out = node->outputs[i];
      if (out == nullptr) continue;
      Node* transpose = graph_.add_node("Transpose", {moved->outputs[i]}, 1, node, "", kVersion);
      transpose->attributes["perm"] = way.perm;
      Value* result = transpose->outputs[0];
      result->name = out->name;
      result->type = out->type;
      result->contents = out->contents;
      graph_.replace_uses(out, result);
    }
    graph_.erase(node);
    ++report_.hits["transposes moved"];
    return {};
  }

  static constexpr int kVersion = 13;  // of Transpose and Reshape

  Graph& graph_;
  bool move_;
  PassReport& report_;
  std::vector<Node*> made_;
  std::map<const Value*, bool> meets_;
};

}  // namespace

Result<void> merge_transposes(Graph& graph, PassReport& report) {
  return TransposeMover(graph, false, report).run();
}

Result<void> move_transposes(Graph& graph, PassReport& report) {
  return TransposeMover(graph, true, report).run();
}

}  // namespace quern
