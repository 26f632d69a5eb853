#include <map>
#include <set>

#include "ir/print.h"
#include "ops/op_def.h"
#include "passes/passes.h"

namespace quern {
namespace {

/// Attributes as a text that is equal for equal attributes; nothing where they hold graphs.
bool append_attributes(std::string& key, const Node& node) {
  for (const auto& [name, value] : node.attributes) {
    key += cat("|", name.size(), ":", name, "=", value.index(), ":");
    if (const auto* i = std::get_if<int64_t>(&value)) {
      append(key, *i);
    } else if (const auto* f = std::get_if<float>(&value)) {
      append(key, __builtin_bit_cast(uint32_t, *f));
    } else if (const auto* s = std::get_if<std::string>(&value)) {
      key += cat(s->size(), ":", *s);
    } else if (const auto* is = std::get_if<std::vector<int64_t>>(&value)) {
      key += join(*is, ",");
    } else if (const auto* fs = std::get_if<std::vector<float>>(&value)) {
      for (float x : *fs) key += cat(__builtin_bit_cast(uint32_t, x), ",");
    } else if (const auto* c = std::get_if<ConstantPtr>(&value)) {
      key += cat(reinterpret_cast<uintptr_t>(c->get()));
    } else {
      return false;
    }
  }
  return true;
}

/// Constants of at most so many bytes are the same where their contents are: each use of an
/// operator that others stand for brings its own.
constexpr size_t kSmall = 64;

void append_input(std::string& key, const Value* v) {
  if (v == nullptr) {
    key += "_,";
    return;
  }
  const Constant* c = v->constant.get();
  if (c == nullptr || !c->is_inline() || !c->host.strings.empty() ||
      c->host.bytes.size() > kSmall) {
    key += cat(v->id, ",");
    return;
  }
  key += cat("=", static_cast<int>(c->dtype), c->dims, ":");
  key.append(c->host.bytes.begin(), c->host.bytes.end());
  key += ",";
}

Result<void> merge(Graph& graph, const std::set<const Value*>& results, PassReport& report) {
  std::map<std::string, Node*> seen;
  for (size_t i = 0; i < graph.nodes().size();) {
    Node& node = *graph.nodes()[i];
    const OpDef* def = find_op(node);
    for (Graph* body : node.subgraphs()) QUERN_TRY(merge(*body, results, report));
    bool mergeable = def != nullptr && !def->is_random && !def->is_control && !def->is_host;
    for (const Value* v : node.outputs) {
      mergeable = mergeable && v != nullptr && !results.contains(v);
    }
    std::string key = cat(node.domain, "::", node.op, "@", node.version, "#", node.outputs.size());
    for (const Value* v : node.inputs) append_input(key, v);
    mergeable = mergeable && append_attributes(key, node);
    if (!mergeable) {
      ++i;
      continue;
    }
    const auto [it, added] = seen.try_emplace(std::move(key), &node);
    if (added) {
      ++i;
      continue;
    }
    for (size_t o = 0; o < node.outputs.size(); ++o) {
      graph.replace_uses(node.outputs[o], it->second->outputs[o]);
    }
    graph.erase(&node);
    ++report.hits["merged"];
  }
  return {};
}

}  // namespace

Result<void> merge_common_subexpressions(Graph& graph, PassReport& report) {
  return merge(graph, body_outputs(graph), report);
}

}  // namespace quern
