#include "api/session.h"

#include <algorithm>
#include <map>

#include "ops/op_def.h"

namespace quern {
namespace {

/// Specialisations of one session.
constexpr size_t kMaxVariants = 8;

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

void append_values_json(std::string& out, const std::vector<Value*>& values) {
  out += '[';
  for (size_t i = 0; i < values.size(); ++i) {
    if (i != 0) out += ',';
    out += "{\"name\":";
    append_json(out, values[i]->name);
    out += cat(",\"dtype\":\"", name_of(values[i]->type.dtype), "\",\"dims\":");
    append_dims_json(out, values[i]->type.shape);
    out += '}';
  }
  out += ']';
}

/// Strings are no GPU's business: their operators run on the host on every device.
bool has_strings(const Node& node) {
  const auto is_string = [](const Value* v) {
    return v != nullptr && v->type.dtype == DType::kString;
  };
  return std::ranges::any_of(node.inputs, is_string) ||
         std::ranges::any_of(node.outputs, is_string);
}

std::string_view place_of(const Node& node, const Placement& placement) {
  const OpDef* def = find_op(node);
  if (def != nullptr && def->is_control) return "control";
  if (def != nullptr && (def->is_host || has_strings(node))) return "host";
  if (placement.host_node[node.id]) return "shape";
  if (def != nullptr && def->is_view) return "view";
  bool load = !node.outputs.empty();
  for (const Value* v : node.outputs) load = load && v != nullptr && placement.constant[v->id];
  return load ? "load" : "device";
}

}  // namespace

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

Result<std::unique_ptr<Session>> Session::create(Model model, Backend& backend,
                                                 const SessionOptions& options) {
  std::unique_ptr<Session> session(new Session(std::move(model), backend, options));
  Graph& graph = *session->model_.graph;
  bool has_branches = false;
  for_each_node(graph, [&](Node& node) { has_branches = has_branches || node.is("If"); });
  if (has_branches && options.pass_options.optimise) session->original_ = graph.clone(nullptr);
  session->main_.graph = &graph;
  QUERN_TRY(session->prepare(session->main_));
  for (const Value* input : graph.inputs) {
    if (input->type.kind != Type::Kind::kTensor) {
      return unsupported(cat("input '", input->name, "' is a sequence or optional"));
    }
  }
  bool undecided = false;
  for_each_node(graph, [&](Node& node) { undecided = undecided || node.is("If"); });
  if (!undecided) session->original_.reset();
  return session;
}

Result<void> Session::prepare(Variant& variant) {
  QUERN_TRY(run_passes(*variant.graph, options_.pass_options, variant.report));
  variant.placement = place(*variant.graph);
  return {};
}

Result<Session::Variant*> Session::variant_for(const std::vector<RunInput>& inputs) {
  if (!original_) return &main_;
  std::string key;
  for (const RunInput& input : inputs) append(key, input.dims);
  for (uint32_t i : main_.placement.host_inputs) {
    key += '|';
    const auto& bytes = inputs[i].host->bytes;
    key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  if (auto it = variants_.find(key); it != variants_.end()) return it->second.get();
  // What a specialisation holds on the device stays; past this many the general graph serves.
  if (variants_.size() >= kMaxVariants) return &main_;
  auto variant = std::make_unique<Variant>();
  variant->owned = original_->clone(nullptr);
  variant->graph = variant->owned.get();
  for (size_t i = 0; i < inputs.size(); ++i) {
    Value& value = *variant->graph->inputs[i];
    value.type.shape = Shape(inputs[i].dims.begin(), inputs[i].dims.end());
  }
  for (uint32_t i : main_.placement.host_inputs) {
    Value& value = *variant->graph->inputs[i];
    if (!is_integer(value.type.dtype) && value.type.dtype != DType::kBool) continue;
    if (inputs[i].host->count() > kMaxContents) continue;
    std::vector<Dim> contents;
    for (int64_t e = 0; e < inputs[i].host->count(); ++e) {
      contents.emplace_back(inputs[i].host->int_at(e));
    }
    value.contents = std::move(contents);
  }
  QUERN_TRY(prepare(*variant));
  return variants_.emplace(std::move(key), std::move(variant)).first->second.get();
}

Result<void> Session::check_inputs(const std::vector<RunInput>& inputs) const {
  const Graph& graph = *model_.graph;
  if (inputs.size() != graph.inputs.size()) {
    return invalid_argument(cat("got ", inputs.size(), " inputs, expected ", graph.inputs.size()));
  }
  std::map<std::string, std::pair<int64_t, std::string>, std::less<>> bound;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& declared = *graph.inputs[i];
    const RunInput& given = inputs[i];
    const auto wrong = [&](std::string_view what) {
      std::string want;
      append(want, declared.type);
      std::string got = cat(name_of(given.dtype));
      append(got, given.dims);
      return invalid_argument(
          cat("input '", declared.name, "': got ", got, ", expected ", want, what));
    };
    if (given.dtype != declared.type.dtype) return wrong("");
    for (int64_t d : given.dims) {
      if (d < 0) return wrong(": a dim is negative");
    }
    QUERN_TRY(element_count(given.dims));
    if (!declared.type.shape) continue;
    const Shape& shape = *declared.type.shape;
    if (shape.size() != given.dims.size()) return wrong(": the rank differs");
    for (size_t a = 0; a < shape.size(); ++a) {
      if (shape[a].is_const()) {
        if (shape[a].value() != given.dims[a]) return wrong(cat(": dim ", a, " differs"));
        continue;
      }
      std::string symbol;
      append(symbol, shape[a]);
      const auto [it, added] = bound.try_emplace(symbol, given.dims[a], declared.name);
      if (!added && it->second.first != given.dims[a]) {
        return wrong(
            cat(": '", symbol, "' is ", it->second.first, " in input '", it->second.second, "'"));
      }
    }
  }
  for (uint32_t i : main_.placement.host_inputs) {
    if (!inputs[i].host) {
      return invalid_argument(
          cat("input '", graph.inputs[i]->name, "': the host needs its contents"));
    }
  }
  return {};
}

Result<std::unique_ptr<Walk>> Session::start(std::vector<RunInput> inputs) {
  QUERN_TRY(check_inputs(inputs));
  QUERN_ASSIGN(Variant * variant, variant_for(inputs));
  auto walk = std::make_unique<Walk>(*variant->graph, variant->placement, backend_, memory_,
                                     variant->loaded, options_.limits);
  QUERN_TRY(walk->start(std::move(inputs)));
  return walk;
}

Result<std::vector<RunInput>> Session::assumed_inputs(int64_t batch, int64_t dim) const {
  std::vector<RunInput> inputs;
  std::map<std::string, int64_t, std::less<>> assumed;
  for (const Value* value : model_.graph->inputs) {
    if (!value->type.shape) {
      return unsupported(cat("input '", value->name, "': its rank is not known"));
    }
    RunInput input;
    input.dtype = value->type.dtype;
    for (const Dim& d : *value->type.shape) {
      std::string symbol;
      append(symbol, d);
      const int64_t number = input.dims.empty() ? batch : dim;
      input.dims.push_back(d.is_const() ? d.value()
                                        : assumed.emplace(symbol, number).first->second);
    }
    inputs.push_back(std::move(input));
  }
  if (!main_.placement.host_inputs.empty()) {
    return unsupported("the host needs contents of inputs, which cannot be assumed");
  }
  return inputs;
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
  out += "},\"inputs\":";
  append_values_json(out, graph.inputs);
  out += ",\"outputs\":";
  append_values_json(out, graph.outputs);
  out += ",\"hostInputs\":[";
  out += join(main_.placement.host_inputs, ",");
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
  for (size_t i = 0; i < model_.weights.size(); ++i) {
    const WeightInfo& w = model_.weights[i];
    if (i != 0) out += ',';
    out += "{\"name\":";
    append_json(out, w.name);
    out += cat(",\"dtype\":\"", name_of(w.dtype), "\",\"dims\":[", join(w.dims, ","),
               "],\"bytes\":", w.byte_length, ",\"file\":");
    append_json(out, w.file);
    out += cat(",\"offset\":", w.file_offset, ",\"used\":", used[i] ? "true" : "false", "}");
  }
  out += "],\"nodes\":[";
  first = true;
  for_each_node(*model_.graph, [&](Node& node) {
    if (node.graph->outer() != nullptr && node.graph->name == "fused") return;
    if (!first) out += ',';
    first = false;
    out += cat("{\"id\":", node.id, ",\"name\":");
    append_json(out, node.name);
    out += ",\"op\":";
    append_json(out, node.op);
    out += ",\"domain\":";
    append_json(out, node.domain);
    out += cat(",\"place\":\"", place_of(node, main_.placement), "\"");
    if (node.is("Fused", "quern")) {
      out += ",\"body\":[";
      bool first_inner = true;
      for (const auto& inner : node.subgraph("body")->nodes()) {
        if (!first_inner) out += ',';
        first_inner = false;
        append_json(out, inner->op);
      }
      out += ']';
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
  out += "}}";
  return out;
}

}  // namespace quern
