// Types, symbolic shapes and known contents, through the graph and its bodies.

#include <algorithm>

#include "ops/common/merge_types.h"
#include "ops/common/scan_form.h"
#include "ops/op_def.h"
#include "passes/passes.h"

namespace quern {
namespace {

constexpr int kMaxDepth = 32;
/// Rounds that a loop's carried types get to become stable before their shapes are given up.
constexpr int kMaxRounds = 4;

bool same_type(const Type& a, const Type& b) {
  if (a.kind != b.kind || a.dtype != b.dtype || a.shape != b.shape) return false;
  if (!a.element || !b.element) return a.element == b.element;
  return same_type(*a.element, *b.element);
}

/// A type without an axis, at its front where none is given.
Type without_axis(Type type, int64_t axis) {
  if (!type.shape) return type;
  const auto rank = std::ssize(*type.shape);
  if (axis < 0) axis += rank;
  if (axis < 0 || axis >= rank) {
    type.shape.reset();
  } else {
    type.shape->erase(type.shape->begin() + axis);
  }
  return type;
}

class Inferer {
 public:
  Result<void> run(Graph& graph, int depth) {
    if (depth > kMaxDepth) return limit_exceeded("subgraphs are nested too deeply");
    for (const auto& value : graph.values()) set_constant(*value);
    for (const auto& node : graph.nodes()) QUERN_TRY(visit(*node, depth));
    return {};
  }

  /// One node; of its inputs that are no constants the types must be there.
  Result<void> run(Node& node) {
    for (Value* input : node.inputs) {
      if (input != nullptr) set_constant(*input);
    }
    return visit(node, 0);
  }

 private:
  static void set_constant(Value& value) {
    if (!value.constant) return;
    const Constant& c = *value.constant;
    value.type = Type::tensor(c.dtype, Shape(c.dims.begin(), c.dims.end()));
    if (!c.is_inline() || (!is_integer(c.dtype) && c.dtype != DType::kBool) ||
        c.host.count() > kMaxContents) {
      return;
    }
    std::vector<Dim> contents;
    for (int64_t i = 0; i < c.host.count(); ++i) contents.emplace_back(c.host.int_at(i));
    value.contents = std::move(contents);
  }

  Result<void> visit(Node& node, int depth) {
    const OpDef* def = find_op(node);
    if (def == nullptr) {
      return unsupported(cat(node.describe(), ": unknown operator of version ", node.version));
    }
    if (node.inputs.size() < def->min_inputs || node.inputs.size() > def->max_inputs ||
        node.outputs.size() < def->min_outputs || node.outputs.size() > def->max_outputs) {
      return invalid_model(
          cat(node.describe(), ": has ", node.inputs.size(), " inputs and ", node.outputs.size(),
              " outputs, expected ", static_cast<int>(def->min_inputs), " to ",
              static_cast<int>(def->max_inputs), " and ", static_cast<int>(def->min_outputs),
              " to ", static_cast<int>(def->max_outputs)));
    }
    for (size_t i = 0; i < def->min_inputs; ++i) {
      if (node.inputs[i] == nullptr) {
        return invalid_model(cat(node.describe(), ": required input ", i, " is absent"));
      }
    }
    if (const Value* first = node.input(0)) {
      // Numbers of other types may do; strings would be taken for nothing.
      if (first->type.is_tensor() && first->type.dtype == DType::kString &&
          (def->types & type_bit(DType::kString)) == 0) {
        return invalid_model(cat(node.describe(), ": input 0 is string, expected numbers"));
      }
    }
    if (node.is("Loop")) {
      QUERN_TRY(infer_loop(node, depth));
    } else if (node.is("Scan")) {
      QUERN_TRY(infer_scan(node, depth));
    } else if (node.is("SequenceMap")) {
      QUERN_TRY(infer_map(node, depth));
    } else if (node.is("Fused", "quern")) {
      Graph* body = node.subgraph("body");
      if (body == nullptr || body->inputs.size() != node.inputs.size()) {
        return invalid_model(cat(node.describe(), ": body and node differ in inputs"));
      }
      for (size_t i = 0; i < node.inputs.size(); ++i) {
        body->inputs[i]->type = node.inputs[i]->type;
        body->inputs[i]->contents = node.inputs[i]->contents;
      }
      QUERN_TRY(run(*body, depth + 1));
    } else if (Graph* branch = decided_branch(node)) {
      // The other branch need not even be valid for these shapes.
      if (branch->outputs.size() != node.outputs.size()) {
        return invalid_model(cat(node.describe(), ": a branch gives ", branch->outputs.size(),
                                 " outputs, expected ", node.outputs.size()));
      }
      QUERN_TRY(run(*branch, depth + 1));
      for (size_t i = 0; i < node.outputs.size(); ++i) {
        if (node.outputs[i] == nullptr) continue;
        node.outputs[i]->type = branch->outputs[i]->type;
        node.outputs[i]->contents = branch->outputs[i]->contents;
      }
      return {};
    } else {
      for (Graph* body : node.subgraphs()) QUERN_TRY(run(*body, depth + 1));
    }

    std::vector<InferContext::Input> inputs(node.inputs.size());
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Value* v = node.inputs[i];
      if (v == nullptr) continue;
      inputs[i].present = true;
      inputs[i].type = v->type;
      if (v->constant && v->constant->is_inline()) inputs[i].host = &v->constant->host;
      if (v->contents) inputs[i].contents = &*v->contents;
    }
    InferContext context(node, std::move(inputs));
    QUERN_TRY(def->infer(context));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      Value* out = node.outputs[i];
      if (out == nullptr) continue;
      auto& inferred = context.outputs()[i];
      if (inferred.type.kind == Type::Kind::kTensor && inferred.type.dtype == DType::kUndefined &&
          out->type.dtype != DType::kUndefined) {
        inferred.type.dtype = out->type.dtype;
      }
      out->type = std::move(inferred.type);
      out->contents = std::move(inferred.contents);
    }
    return {};
  }

  /// The branch of an If whose condition is known.
  static Graph* decided_branch(const Node& node) {
    if (!node.is("If")) return nullptr;
    const Value* condition = node.inputs[0];
    std::optional<int64_t> known;
    if (condition->constant && condition->constant->is_inline() &&
        condition->constant->host.count() == 1) {
      known = condition->constant->host.int_at(0);
    } else if (condition->contents && condition->contents->size() == 1) {
      known = (*condition->contents)[0].constant();
    }
    if (!known) return nullptr;
    return node.subgraph(*known != 0 ? "then_branch" : "else_branch");
  }

  /// Carried values take types that hold in every iteration: start from the initial ones, infer
  /// the body, and give up what its results change.
  Result<void> infer_loop(Node& node, int depth) {
    Graph* body = node.subgraph("body");
    const size_t carried = node.inputs.size() < 2 ? 0 : node.inputs.size() - 2;
    if (body == nullptr || body->inputs.size() != carried + 2 ||
        body->outputs.size() < carried + 1) {
      return invalid_model(cat(node.describe(), ": the body must have ", carried + 2,
                               " inputs and at least ", carried + 1, " outputs"));
    }
    body->inputs[0]->type = Type::tensor(DType::kI64, Shape{});
    body->inputs[1]->type = Type::tensor(DType::kBool, Shape{});
    for (size_t i = 0; i < carried; ++i) {
      if (node.inputs[i + 2] == nullptr) {
        return invalid_model(cat(node.describe(), ": carried value ", i, " is absent"));
      }
      body->inputs[i + 2]->type = node.inputs[i + 2]->type;
      body->inputs[i + 2]->contents.reset();
    }
    return infer_repeated(node, *body, 2, 1, carried, depth);
  }

  /// States are carried; the body sees the scan inputs without their axis.
  Result<void> infer_scan(Node& node, int depth) {
    QUERN_ASSIGN(const ScanForm form, scan_form(node));
    for (size_t i = 0; i < form.body->inputs.size(); ++i) {
      Type type = node.inputs[form.first + i]->type;
      if (form.is_batched) type = without_axis(std::move(type), 0);
      if (i >= form.states) {
        type = without_axis(std::move(type), form.input_axes[i - form.states]);
      }
      form.body->inputs[i]->type = std::move(type);
      form.body->inputs[i]->contents.reset();
    }
    return infer_repeated(node, *form.body, 0, 0, form.states, depth);
  }

  /// The body sees the elements of sequences, and tensors as they are.
  Result<void> infer_map(Node& node, int depth) {
    Graph* body = node.subgraph("body");
    if (body == nullptr || body->inputs.size() != node.inputs.size()) {
      return invalid_model(
          cat(node.describe(), ": the body must have ", node.inputs.size(), " inputs"));
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.inputs[i] == nullptr) continue;
      Type type = node.inputs[i]->type;
      if (type.kind == Type::Kind::kSequence && type.element) {
        type = Type(*type.element);
        for (size_t axis = 0; type.shape && axis < type.shape->size(); ++axis) {
          Dim& dim = (*type.shape)[axis];
          if (!dim.is_const()) dim = Dim::symbol(cat("map", node.id, "_", i, "_", axis));
        }
      }
      body->inputs[i]->type = std::move(type);
    }
    return run(*body, depth + 1);
  }

  /// The body's inputs from `first_input` on take what its outputs from `first_output` on give.
  Result<void> infer_repeated(const Node& node, Graph& body, size_t first_input,
                              size_t first_output, size_t carried, int depth) {
    for (int round = 0;; ++round) {
      QUERN_TRY(run(body, depth + 1));
      bool stable = true;
      for (size_t i = 0; i < carried; ++i) {
        Type& in = body.inputs[first_input + i]->type;
        const Type& out = body.outputs[first_output + i]->type;
        if (same_type(in, out)) continue;
        if (!in.is_tensor()) {
          Type merged = merge_elements(in, out);
          stable = stable && same_type(in, merged);
          in = std::move(merged);
          continue;
        }
        if (!in.shape) continue;  // nothing is left to give up
        stable = false;
        if (!out.shape || in.shape->size() != out.shape->size() || round + 1 >= kMaxRounds) {
          in.shape.reset();
          continue;
        }
        for (size_t axis = 0; axis < in.shape->size(); ++axis) {
          if ((*in.shape)[axis] == (*out.shape)[axis]) continue;
          (*in.shape)[axis] = Dim::symbol(cat("loop", node.id, "_", i, "_", axis, "_", round));
        }
      }
      if (stable || round > kMaxRounds) return {};
    }
  }
};

}  // namespace

Result<void> infer_shapes(Graph& graph) { return Inferer().run(graph, 0); }
Result<void> infer_node(Node& node) { return Inferer().run(node); }

}  // namespace quern
