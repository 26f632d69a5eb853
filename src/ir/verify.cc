#include "ir/verify.h"

#include <algorithm>
#include <unordered_set>

namespace quern {
namespace {

/// Walks a graph in execution order. Values are in scope from their definition to the end of the
/// graph that owns them.
class Verifier {
 public:
  explicit Verifier(const Graph& graph) {
    // A body verified on its own uses values of enclosing graphs, which are taken to be defined.
    for (const Graph* outer = graph.outer(); outer; outer = outer->outer()) {
      for (const std::unique_ptr<Value>& value : outer->values()) {
        in_scope_.insert(value.get());
        outer_values_.push_back(value.get());
      }
    }
  }

  Result<void> run(const Graph& graph) {
    QUERN_TRY(check_graph(graph, 0));
    return check_uses();
  }

 private:
  Result<void> check_graph(const Graph& graph, int depth) {
    if (depth >= kMaxGraphDepth) return internal_error("graphs nested too deep");
    for (const std::unique_ptr<Value>& value : graph.values()) {
      if (auto result = check_value(graph, *value); !result) {
        return std::unexpected(std::move(result).error().in(describe(*value)));
      }
    }
    for (const Value* input : graph.inputs) {
      if (!input || input->graph != &graph) return internal_error("input of another graph");
      if (input->producer || input->constant) {
        return internal_error(cat(describe(*input), ": is an input and computed or constant"));
      }
      if (!in_scope_.insert(input).second) {
        return internal_error(cat(describe(*input), ": is an input twice"));
      }
    }
    for (const std::unique_ptr<Node>& node : graph.nodes()) {
      if (auto result = check_node(graph, *node, depth); !result) {
        return std::unexpected(std::move(result).error().in(node->describe()));
      }
    }
    for (const Value* output : graph.outputs) {
      if (!output) return internal_error("graph output without value");
      if (!in_scope_.contains(output)) {
        return internal_error(cat(describe(*output), ": is a graph output but not in scope"));
      }
    }
    for (const std::unique_ptr<Value>& value : graph.values()) {
      values_.push_back(value.get());
      if (graph.outer()) in_scope_.erase(value.get());
    }
    return {};
  }

  Result<void> check_value(const Graph& graph, const Value& value) {
    if (value.graph != &graph) return internal_error("is owned by another graph");
    if (!ids_.insert(value.id).second) return internal_error(cat("number ", value.id, " twice"));
    if (value.producer) {
      const Node& producer = *value.producer;
      if (value.constant) return internal_error("is computed and constant");
      if (producer.graph != &graph || producer.output(value.producer_index) != &value) {
        return internal_error("is not what its producer says");
      }
    }
    if (!value.constant) return {};
    in_scope_.insert(&value);
    return check_constant(*value.constant, value.type);
  }

  static Result<void> check_constant(const Constant& constant, const Type& type) {
    if (type.kind != Type::Kind::kTensor || type.dtype != constant.dtype || !type.shape ||
        constant_dims(*type.shape) != constant.dims) {
      return internal_error(cat("constant ", constant.dtype, constant.dims, " has type ", type));
    }
    return check_contents(constant);
  }

  static Result<void> check_contents(const Constant& constant) {
    QUERN_ASSIGN(const int64_t count, element_count(constant.dims));
    if (!constant.is_inline()) return {};
    const HostTensor& host = constant.host;
    if (host.dtype != constant.dtype || host.dims != constant.dims) {
      return internal_error(
          cat("constant ", constant.dtype, constant.dims, " holds ", host.dtype, host.dims));
    }
    const auto n = static_cast<uint64_t>(count);
    const uint64_t strings = host.dtype == DType::kString ? n : 0;
    if (host.bytes.size() != byte_size(host.dtype, n) || host.strings.size() != strings) {
      return internal_error(cat("constant ", host.dtype, host.dims, " holds ", host.bytes.size(),
                                " bytes and ", host.strings.size(), " strings"));
    }
    return {};
  }

  Result<void> check_node(const Graph& graph, const Node& node, int depth) {
    if (node.graph != &graph) return internal_error("is owned by another graph");
    nodes_.insert(&node);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const Value* input = node.inputs[i];
      if (!input) continue;
      if (!in_scope_.contains(input)) {
        // The value may be gone, so that nothing of it can be told.
        return internal_error(cat("input ", i, " is not in scope or comes later"));
      }
      ++use_count_;
    }
    for (const auto& [key, value] : node.attributes) {
      if (const auto* constant = std::get_if<ConstantPtr>(&value)) {
        if (!*constant) return internal_error(cat("attribute ", key, " is null"));
        if (auto result = check_contents(**constant); !result) {
          return std::unexpected(std::move(result).error().in(cat("attribute ", key)));
        }
      } else if (const auto* graph_ptr = std::get_if<std::shared_ptr<Graph>>(&value)) {
        if (!*graph_ptr) return internal_error(cat("attribute ", key, " is null"));
      }
    }
    for (const Graph* body : node.subgraphs()) {
      if (body->outer() != &graph) return internal_error("has a body of another graph");
      QUERN_TRY(check_graph(*body, depth + 1));
    }
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      const Value* output = node.outputs[i];
      if (!output) return internal_error(cat("output ", i, " is null"));
      if (output->graph != &graph) return internal_error(cat("output ", i, " of another graph"));
      if (output->producer != &node || output->producer_index != i) {
        return internal_error(cat("output ", i, " names another producer"));
      }
      if (!in_scope_.insert(output).second) return internal_error(cat("output ", i, " twice"));
    }
    return {};
  }

  /// As many uses are listed as there are inputs, no two the same, and each is one: so the lists
  /// are exact. Uses of outer values by nodes that were not walked are not looked at.
  Result<void> check_uses() {
    size_t listed = 0;
    for (const Value* value : outer_values_) {
      QUERN_TRY(count_uses(*value, /*all_walked=*/false, listed));
    }
    for (const Value* value : values_) QUERN_TRY(count_uses(*value, true, listed));
    if (listed == use_count_) return {};
    for (const Node* node : nodes_) {
      for (size_t i = 0; i < node->inputs.size(); ++i) {
        const Value* input = node->inputs[i];
        const auto is_this = [&](const Use& use) { return use.node == node && use.index == i; };
        if (!input || std::ranges::any_of(input->uses, is_this)) continue;
        return internal_error(
            cat(node->describe(), ": input ", i, " is not among the uses of ", describe(*input)));
      }
    }
    return internal_error("uses are not exact");
  }

  Result<void> count_uses(const Value& value, bool all_walked, size_t& listed) {
    std::vector<Use> uses = value.uses;
    std::ranges::sort(uses, [](const Use& a, const Use& b) {
      return a.node != b.node ? std::less<>()(a.node, b.node) : a.index < b.index;
    });
    for (size_t i = 0; i < uses.size(); ++i) {
      const auto [node, index] = uses[i];
      if (!nodes_.contains(node)) {  // before anything of it is read
        if (all_walked) return internal_error(cat(describe(value), ": used by an unknown node"));
        continue;
      }
      if (node->input(index) != &value) {
        return internal_error(
            cat(describe(value), ": is listed as input ", index, " of ", node->describe()));
      }
      if (i > 0 && uses[i - 1].node == node && uses[i - 1].index == index) {
        return internal_error(cat(describe(value), ": lists a use twice"));
      }
      ++listed;
    }
    return {};
  }

  static std::string describe(const Value& value) {
    return value.name.empty() ? cat("value ", value.id) : cat("value '", value.name, "'");
  }

  std::unordered_set<const Value*> in_scope_;
  std::vector<const Value*> values_;
  std::vector<const Value*> outer_values_;
  std::unordered_set<const Node*> nodes_;
  std::unordered_set<uint32_t> ids_;
  size_t use_count_ = 0;
};

}  // namespace

Result<void> verify(const Graph& graph) { return Verifier(graph).run(graph); }

}  // namespace quern
