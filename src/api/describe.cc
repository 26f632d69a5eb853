// What the runtime hears of a session, as JSON.
#include <map>
#include <set>

#include "api/session.h"
#include "ops/op_def.h"

namespace quern {
namespace {

void append_dims_json(std::string& out, const std::optional<Shape>& shape) {
  if (!shape) {
    out += "null";
    return;
  }
  out += '[';
  for (size_t i = 0; i < shape->size(); ++i) {
    if (i != 0) out += ',';
    const Dim& dim = (*shape)[i];
    if (dim.is_const()) {
      append(out, dim.value());
    } else {
      std::string text;
      append(text, dim);
      append_json(out, text);
    }
  }
  out += ']';
}

/// The fields of a type: dtype, dims, and of a container kind, element, key.
void append_type_json(std::string& out, const Type& type) {
  out += cat("\"dtype\":\"", name_of(type.dtype), "\",\"dims\":");
  append_dims_json(out, type.shape);
  if (type.is_tensor()) return;
  constexpr std::string_view kNames[] = {"tensor", "sequence", "optional", "map"};
  out += cat(",\"kind\":\"", kNames[static_cast<size_t>(type.kind)], "\"");
  if (type.kind == Type::Kind::kMap) out += cat(",\"key\":\"", name_of(type.key), "\"");
  if (!type.element) return;
  out += ",\"element\":{";
  append_type_json(out, *type.element);
  out += '}';
}

void append_value_json(std::string& out, std::string_view name, const Type& type, bool optional) {
  if (out.back() != '[') out += ',';
  out += "{\"name\":";
  append_json(out, name);
  out += ',';
  append_type_json(out, type);
  if (optional) out += ",\"optional\":true";
  out += '}';
}

std::string_view place_of(const Node& node, const Placement& placement) {
  const OpDef* def = find_op(node);
  if (def != nullptr && def->is_control) return "control";
  if (def != nullptr && def->is_sequence && !node.is("SplitToSequence") &&
      !node.is("ConcatFromSequence")) {
    return "control";  // moves references
  }
  if (def != nullptr && (def->is_host || has_strings(node))) {
    // An operator of our own that runs on the host makes a table from shapes.
    return def->is_host && def->domain == "quern" ? "shape" : "host";
  }
  if (placement.host_node[node.id]) return "shape";
  if (def != nullptr && def->is_view) return "view";
  bool load = !node.outputs.empty();
  for (const Value* v : node.outputs) load = load && v != nullptr && placement.constant[v->id];
  return load ? "load" : "device";
}

/// The fields that tell which node it is.
void append_node_json(std::string& out, Node& node) {
  out += cat("\"id\":", node.id, ",\"name\":");
  append_json(out, node.name);
  out += ",\"op\":";
  append_json(out, node.op);
  out += ",\"domain\":";
  append_json(out, node.domain);
  if (!node.is("Fused", "quern")) return;
  out += ",\"body\":[";
  bool first = true;
  for (const auto& inner : node.subgraph("body")->nodes()) {
    if (!first) out += ',';
    first = false;
    append_json(out, inner->op);
  }
  out += ']';
}

}  // namespace

std::string describe_work(const Walk& walk) {
  std::map<uint32_t, DeviceNode> nodes;
  for (const DeviceNode& visit : walk.device_nodes()) {
    DeviceNode& sum = nodes[visit.node];
    sum.flops += visit.flops;
    sum.bytes += visit.bytes;
  }
  std::string out = "[";
  for_each_node(walk.graph(), [&](Node& node) {
    const auto found = nodes.find(node.id);
    if (found == nodes.end() || node.graph->name == "fused") return;
    out += out.size() > 1 ? ",{" : "{";
    append_node_json(out, node);
    out += cat(",\"flops\":", found->second.flops, ",\"bytes\":", found->second.bytes, "}");
  });
  return out + "]";
}

std::string describe_choices(std::span<const Choice> choices) {
  std::string out = "[";
  for (const Choice& choice : choices) {
    out += cat(out.size() > 1 ? "," : "", "{\"node\":", choice.node, ",\"problem\":");
    append_json(out, choice.problem);
    out += ",\"forms\":[";
    for (size_t i = 0; i < choice.forms.size(); ++i) {
      if (i > 0) out += ',';
      append_json(out, choice.forms[i]);
    }
    out += cat("],\"taken\":", choice.taken, ",\"trials\":", choice.trials,
               ",\"first\":", choice.first, ",\"last\":", choice.last, "}");
  }
  return out + "]";
}

void append_json(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += "\\u00";
      out += digits[byte >> 4];
      out += digits[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

std::string Session::describe_precision() const {
  std::string out = cat("{\"used\":\"", narrow_ ? "f16" : "f32", "\"");
  if (!precision_reason_.empty()) {
    out += ",\"reason\":";
    append_json(out, precision_reason_);
  }
  uint64_t bytes = 0;
  const auto add = [&](const Graph& graph, auto& self) -> void {
    for (const auto& value : graph.values()) {
      if (!value->constant || !value->constant->is_inline()) continue;
      bytes += byte_size(main_.placement.stored(*value),
                         static_cast<uint64_t>(value->constant->host.count()));
    }
    for (const auto& node : graph.nodes()) {
      for (const Graph* body : node->subgraphs()) self(*body, self);
    }
  };
  add(*main_.graph, add);
  return out + cat(",\"constantBytes\":", bytes, "}");
}

std::string Session::describe() const {
  const Graph& graph = *model_.graph;
  std::string out = "{\"format\":";
  append_json(out, model_.format);
  out += ",\"producer\":";
  append_json(out, model_.producer);
  out += ",\"opsets\":{";
  bool first = true;
  for (const auto& [domain, version] : model_.opsets) {
    if (!first) out += ',';
    first = false;
    append_json(out, domain);
    out += cat(":", version);
  }
  out += "},\"signatures\":{";
  constexpr std::string_view kSignature = "quern.signature ";
  first = true;
  for (auto at = model_.metadata.lower_bound(kSignature);
       at != model_.metadata.end() && at->first.starts_with(kSignature); ++at) {
    if (!first) out += ',';
    first = false;
    append_json(out, std::string_view(at->first).substr(kSignature.size()));
    out += ':';
    append_json(out, at->second);
  }
  out += "},\"inputs\":[";
  for (const ModelInput& input : model_.inputs) {
    append_value_json(out, input.name, input.type, may_be_absent(input));
  }
  out += "],\"outputs\":[";
  for (size_t i = 0; i < graph.outputs.size(); ++i) {
    append_value_json(out, output_names_[i], graph.outputs[i]->type, false);
  }
  out += "],\"hostInputs\":[";
  out += join(host_inputs_, ",");
  out += "],\"weights\":[";
  std::vector<bool> used(model_.weights.size());
  const auto mark = [&](const Graph& g, auto& self) -> void {
    for (const auto& value : g.values()) {
      if (value->constant && !value->constant->is_inline()) used[value->constant->weight] = true;
    }
    for (const auto& node : g.nodes()) {
      for (const Graph* body : node->subgraphs()) self(*body, self);
    }
  };
  mark(graph, mark);
  const std::set<uint32_t> narrowed = narrow_weights(*main_.graph, main_.placement);
  for (size_t i = 0; i < model_.weights.size(); ++i) {
    const WeightInfo& w = model_.weights[i];
    if (i != 0) out += ',';
    out += "{\"name\":";
    append_json(out, w.name);
    out += cat(",\"dtype\":\"", name_of(w.dtype), "\",\"dims\":[", join(w.dims, ","),
               "],\"bytes\":", w.byte_length, ",\"file\":");
    append_json(out, w.file);
    const auto number = static_cast<uint32_t>(i);
    out += cat(",\"offset\":", w.file_offset, ",\"used\":", used[i] ? "true" : "false",
               narrowed.contains(number) ? ",\"stored\":\"f16\"" : "",
               main_.placement.load_only.contains(number) ? ",\"loadOnly\":true}" : "}");
  }
  out += "],\"nodes\":[";
  first = true;
  for_each_node(*model_.graph, [&](Node& node) {
    if (node.graph->outer() != nullptr && node.graph->name == "fused") return;
    if (!first) out += ',';
    first = false;
    out += '{';
    append_node_json(out, node);
    out += cat(",\"place\":\"", place_of(node, main_.placement), "\"");
    const Value* result = node.output(0);
    if (result != nullptr && result->type.is_tensor() && is_float(result->type.dtype)) {
      out += cat(",\"precision\":\"", name_of(main_.placement.stored(*result)), "\"");
    }
    out += '}';
  });
  out += "],\"hits\":{";
  first = true;
  for (const auto& [name, count] : main_.report.hits) {
    if (!first) out += ',';
    first = false;
    append_json(out, name);
    out += cat(":", count);
  }
  out += cat("},\"precision\":", describe_precision(), "}");
  return out;
}

}  // namespace quern
