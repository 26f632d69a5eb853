#include "passes/passes.h"

#include "ir/verify.h"
#include "ops/op_def.h"

namespace quern {
namespace {

void collect_outputs(Graph& graph, std::set<const Value*>& out) {
  out.insert(graph.outputs.begin(), graph.outputs.end());
  for (const auto& node : graph.nodes()) {
    for (Graph* body : node->subgraphs()) collect_outputs(*body, out);
  }
}

/// Bodies first, then the graph: what a pass does to one graph at a time.
template <class Pass>
Result<void> over_all(Graph& graph, const Pass& pass) {
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    Node& node = *graph.nodes()[i];
    if (node.is("Fused", "quern")) continue;
    for (Graph* body : node.subgraphs()) QUERN_TRY(over_all(*body, pass));
  }
  return pass(graph);
}

}  // namespace

std::set<const Value*> body_outputs(Graph& graph) {
  std::set<const Value*> out;
  collect_outputs(graph, out);
  return out;
}

bool is_used_once(const Graph& graph, const Value& value) {
  return value.uses.size() == 1 && !graph.is_output(&value);
}

Node* maker_in(const Graph& graph, const Value* value, std::string_view op,
               std::string_view domain) {
  Node* node = value != nullptr ? value->producer : nullptr;
  return node != nullptr && node->graph == &graph && node->is(op, domain) ? node : nullptr;
}

Result<void> run_passes(Graph& graph, const PassOptions& options, PassReport& report) {
  // The one list of passes. `every` passes run with optimisation off too: execution needs them.
  struct Entry {
    std::string_view name;
    bool every;
    Result<void> (*run)(Graph&, const PassOptions&, PassReport&);
  };
  constexpr Entry kPasses[] = {
      {"infer", true, [](Graph& g, const PassOptions&, PassReport&) { return infer_shapes(g); }},
      {"fold", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return fold_constants(g, r); }},
      {"merge-transposes", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return merge_transposes(g, r); }},
      {"dead", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return remove_dead_code(g, r); }},
      {"recognise", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return recognise(g, r); }},
      {"batch-norm", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return fold_batch_norm(g, r); }},
      {"pack-products", false,
       [](Graph& g, const PassOptions& o, PassReport& r) -> Result<void> {
         return o.few_dispatches ? pack_products(g, r) : Result<void>();
       }},
      {"join-gates", false,
       [](Graph& g, const PassOptions& o, PassReport& r) -> Result<void> {
         return o.few_dispatches ? join_gates(g, r) : Result<void>();
       }},
      {"dead", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return remove_dead_code(g, r); }},
      {"expand", true,
       [](Graph& g, const PassOptions&, PassReport& r) { return expand_ops(g, r); }},
      {"infer", true, [](Graph& g, const PassOptions&, PassReport&) { return infer_shapes(g); }},
      {"join-appends", false,
       [](Graph& g, const PassOptions& o, PassReport& r) -> Result<void> {
         return o.few_dispatches ? join_appends(g, r) : Result<void>();
       }},
      {"move-transposes", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return move_transposes(g, r); }},
      {"join-heads", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return join_heads(g, r); }},
      {"pack-heads", false,
       [](Graph& g, const PassOptions& o, PassReport& r) -> Result<void> {
         if (!o.few_dispatches) return {};
         // Transposes that attention reads past read the products too.
         QUERN_TRY(remove_dead_code(g, r));
         return pack_heads(g, r);
       }},
      {"fold", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return fold_constants(g, r); }},
      {"common", false,
       [](Graph& g, const PassOptions&, PassReport& r) {
         return merge_common_subexpressions(g, r);
       }},
      {"dead", false,
       [](Graph& g, const PassOptions&, PassReport& r) { return remove_dead_code(g, r); }},
      {"fuse", false,
       [](Graph& g, const PassOptions& o, PassReport& r) {
         return fuse(g, o.max_storage_buffers, r);
       }},
      {"infer", true, [](Graph& g, const PassOptions&, PassReport&) { return infer_shapes(g); }},
  };
  for (const Entry& entry : kPasses) {
    if (!entry.every && !options.optimise) continue;
    if (auto done = entry.run(graph, options, report); !done) return done;
    if (options.verify_each) {
      if (auto valid = verify(graph); !valid) {
        return std::unexpected(std::move(valid).error().in(cat("after pass ", entry.name)));
      }
    }
  }
  return {};
}

Result<void> remove_dead_code(Graph& graph, PassReport& report) {
  const std::set<const Value*> results = body_outputs(graph);
  return over_all(graph, [&](Graph& g) -> Result<void> {
    for (size_t i = g.nodes().size(); i-- > 0;) {
      Node* node = g.nodes()[i].get();
      bool used = false;
      for (const Value* v : node->outputs) {
        used = used || (v != nullptr && (!v->uses.empty() || results.contains(v)));
      }
      if (used) continue;
      g.erase(node);
      ++report.hits["dead"];
    }
    g.remove_unused_values();
    return {};
  });
}

Result<void> expand_ops(Graph& graph, PassReport& report) {
  return over_all(graph, [&](Graph& g) -> Result<void> {
    // New nodes come before the one they replace, so the index meets them too: they may expand in
    // turn. A bound keeps a definition that expands into itself from going on for ever.
    size_t budget = g.nodes().size() * 64 + 1024;
    bool any = false;  // so types have to be found again from here on: each node's once
    for (size_t i = 0; i < g.nodes().size();) {
      Node& node = *g.nodes()[i];
      if (any) QUERN_TRY(infer_node(node));
      const OpDef* def = find_op(node);
      if (def == nullptr || def->expand == nullptr) {
        ++i;
        continue;
      }
      if (budget-- == 0) return internal_error(cat(node.describe(), ": expands without end"));
      const std::string op = node.op;
      QUERN_ASSIGN(const bool expanded, def->expand(g, node));
      if (!expanded) {
        ++i;
        continue;
      }
      ++report.hits[cat("expanded ", op)];
      any = true;
    }
    return {};
  });
}

}  // namespace quern
