#include "api/session.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "ir/operator_list.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// Specialisations of one session.
constexpr size_t kMaxVariants = 8;
/// With these, the inputs' forms for which one was made in vain: a bound of what looking costs.
constexpr size_t kMaxTried = 64;

/// The bounds of a dim in the metadata that importers of other formats write: "s0:1:64 s1:4:512".
std::pair<int64_t, int64_t> bounds_of(const Model& model, std::string_view symbol) {
  std::pair<int64_t, int64_t> bounds = {0, INT64_MAX};
  const auto all = model.metadata.find("quern.dims");
  if (all == model.metadata.end()) return bounds;
  const std::string text = cat(" ", all->second);
  const std::string key = cat(" ", symbol, ":");
  const size_t at = text.find(key);
  if (at == text.npos) return bounds;
  const char* end = text.data() + text.size();
  const char* from = text.data() + at + key.size();
  const char* colon = std::from_chars(from, end, bounds.first).ptr;
  if (colon != end) std::from_chars(colon + 1, end, bounds.second);
  return bounds;
}

bool is_left_out(const RunInput& input) {
  return input.kind == Type::Kind::kTensor && input.dtype == DType::kUndefined;
}

void append_form(std::string& key, const RunInput& input) {
  if (is_left_out(input)) {
    key += '-';
  } else if (input.kind == Type::Kind::kTensor) {
    append(key, input.dims);
  } else {
    key += '(';
    for (const RunInput& element : input.elements) append_form(key, element);
    key += ')';
  }
}

void append_contents(std::string& key, const RunInput& input) {
  for (const RunInput& element : input.elements) append_contents(key, element);
  if (!input.host) return;
  const auto& bytes = input.host->bytes;
  key += '|';
  key.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (const std::string& s : input.host->strings) key += cat(s.size(), ":", s);
}

bool has_contents(const RunInput& input) {
  if (input.kind == Type::Kind::kTensor) return input.host != nullptr || is_left_out(input);
  return std::ranges::all_of(input.elements, has_contents);
}

/// Checks inputs against what the model declares, and that a symbol has one value.
class InputChecker {
 public:
  Result<void> check(const ModelInput& declared, const RunInput& given) {
    return check(declared.name, declared.type, given, true);
  }

 private:
  struct Bound {
    int64_t value;
    std::string input;
  };

  Result<void> check(const std::string& name, const Type& type, const RunInput& given, bool top) {
    const auto wrong = [&](std::string_view what) {
      std::string got =
          cat(given.kind == Type::Kind::kTensor ? "" : "a container of ", name_of(given.dtype));
      if (given.kind == Type::Kind::kTensor) append(got, given.dims);
      return invalid_argument(cat("input '", name, "': got ", is_left_out(given) ? "nothing" : got,
                                  ", expected ", type, what));
    };
    if (given.kind != type.kind) return wrong("");
    if (given.kind != Type::Kind::kTensor) {
      if (type.kind == Type::Kind::kOptional && given.elements.size() > 1) {
        return wrong(": more than one element");
      }
      if (type.kind == Type::Kind::kMap) return check_map(name, type, given);
      for (const RunInput& element : given.elements) {
        if (type.element) QUERN_TRY(check(name, *type.element, element, false));
      }
      return {};
    }
    if (given.dtype != type.dtype) return wrong("");
    for (int64_t d : given.dims) {
      if (d < 0) return wrong(": a dim is negative");
    }
    QUERN_TRY(element_count(given.dims));
    if (!type.shape) return {};
    const Shape& shape = *type.shape;
    if (shape.size() != given.dims.size()) return wrong(": the rank differs");
    for (size_t a = 0; a < shape.size(); ++a) {
      if (shape[a].is_const()) {
        if (shape[a].value() != given.dims[a]) return wrong(cat(": dim ", a, " differs"));
        continue;
      }
      if (!top) continue;  // elements may differ
      std::string symbol;
      append(symbol, shape[a]);
      const auto [it, added] = bound_.try_emplace(symbol, given.dims[a], name);
      if (!added && it->second.value != given.dims[a]) {
        return wrong(
            cat(": '", symbol, "' is ", it->second.value, " in input '", it->second.input, "'"));
      }
    }
    return {};
  }

  /// Keys and values, of one length.
  Result<void> check_map(const std::string& name, const Type& type, const RunInput& given) {
    const DType dtypes[] = {type.key, type.dtype};
    bool fits = given.elements.size() == 2 && given.elements[0].dims == given.elements[1].dims;
    for (size_t i = 0; fits && i < 2; ++i) {
      const RunInput& list = given.elements[i];
      fits = list.kind == Type::Kind::kTensor && list.dtype == dtypes[i] && list.dims.size() == 1 &&
             list.dims[0] >= 0;
    }
    if (!fits)
      return invalid_argument(cat("input '", name, "': its keys and values are no ", type));
    return {};
  }

  std::map<std::string, Bound, std::less<>> bound_;
};

void number_leaves(RunInput& input, uint32_t& next) {
  if (input.kind == Type::Kind::kTensor) input.leaf = next++;
  for (RunInput& element : input.elements) number_leaves(element, next);
}

void add_outputs(Graph& graph, const std::vector<std::string>& names) {
  if (names.empty()) return;
  const std::set<std::string_view> wanted(names.begin(), names.end());
  for (const auto& value : graph.values()) {
    if (value->producer == nullptr || !wanted.contains(value->name)) continue;
    if (!graph.is_output(value.get())) graph.outputs.push_back(value.get());
  }
}

}  // namespace

Result<std::unique_ptr<Session>> Session::create(Model model, Backend& backend,
                                                 const SessionOptions& options) {
  std::unique_ptr<Session> session(new Session(std::move(model), backend, options));
  Graph& graph = *session->model_.graph;
  std::vector<ModelInput>& inputs = session->model_.inputs;
  if (inputs.empty()) {
    for (const Value* v : graph.inputs) inputs.push_back({v->name, v->type, v->id, false});
  }
  Variant& main = session->main_;
  main.graph = &graph;
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].has_default) main.inputs.push_back(i);
  }
  if (main.inputs.size() != graph.inputs.size()) {
    return internal_error("the model's inputs are not those of its graph");
  }
  add_outputs(graph, options.more_outputs);
  for (const Value* v : graph.outputs) session->output_names_.push_back(v->name);
  bool has_branches = false;
  for_each_node(graph, [&](Node& node) { has_branches = has_branches || node.is("If"); });
  const bool has_defaults = main.inputs.size() < inputs.size();
  if ((has_branches && options.pass_options.optimise) || has_defaults) {
    session->original_ = graph.clone(nullptr);
  }
  QUERN_TRY(session->prepare(main, options.pass_options));
  if (has_branches && options.pass_options.optimise) {
    for_each_node(
        graph, [&](Node& node) { session->specialises_ = session->specialises_ || node.is("If"); });
  }
  QUERN_TRY(session->find_host_inputs());
  if (!session->specialises_ && !has_defaults) session->original_.reset();
  // Other graphs of this model would read weights that the main one's load program is done with.
  if (!session->original_) main.placement.load_only = load_only_weights(graph, main.placement);
  return session;
}

Result<void> Session::find_host_inputs() {
  std::vector<bool> needed(model_.inputs.size());
  for (uint32_t i : main_.placement.host_inputs) needed[main_.inputs[i]] = true;
  if (main_.inputs.size() < model_.inputs.size()) {
    // Of inputs with defaults the answer must hold for whatever else is given.
    std::vector<uint32_t> all;
    for (uint32_t i = 0; i < model_.inputs.size(); ++i) {
      if (model_.inputs[i].has_default) all.push_back(i);
    }
    const auto variant = copy_with_inputs(all);
    PassOptions plain = options_.pass_options;
    plain.optimise = false;
    const bool known = prepare(*variant, plain).has_value();
    for (uint32_t i : all) needed[i] = !known;
    if (known) {
      for (uint32_t i : variant->placement.host_inputs) needed[variant->inputs[i]] = true;
    }
  }
  for (uint32_t i = 0; i < needed.size(); ++i) {
    if (needed[i]) host_inputs_.push_back(i);
  }
  return {};
}

Result<void> Session::check_device(const Variant& variant) const {
  OperatorList lacking;
  for_each_node(*variant.graph, [&](Node& node) {
    const OpDef* def = find_op(node);
    const bool is_step = def != nullptr && !def->is_view && !def->is_control && !def->is_sequence &&
                         !def->is_host && variant.placement.host_node[node.id] == 0;
    if (!is_step || !backend_.lacks(node, *def)) return;
    const Value* v = !node.inputs.empty() ? node.inputs[0] : node.outputs[0];
    lacking.add(node, v != nullptr ? name_of(v->type.dtype) : "");
  });
  if (lacking.empty()) return {};
  return unsupported(cat("operators that the device lacks: ", lacking.text()));
}

Result<void> Session::prepare(Variant& variant, const PassOptions& options) {
  QUERN_TRY(run_passes(*variant.graph, options, variant.report));
  variant.placement = place(*variant.graph);
  if (narrow_) {
    QUERN_TRY(quern::narrow(*variant.graph, variant.placement, *narrow_, variant.report));
  }
  return check_device(variant);
}

Result<void> Session::narrow(std::vector<float> weight_peaks, bool automatic) {
  if (!variants_.empty() || memory_.next_persistent != 0 || memory_.next_constant_pool != 0) {
    return invalid_argument("the precision is chosen before the first run");
  }
  NarrowOptions options{std::move(weight_peaks), std::nullopt};
  PassReport found;
  QUERN_TRY(quern::narrow(*main_.graph, main_.placement, options, found));
  const int wide = found.hits["f32 by range"];
  if (found.hits["f16 values"] + found.hits["f16 weights"] == 0) {
    precision_reason_ = "no tensor is large enough, safe, and read by kernels that take f16";
  } else if (automatic && wide > 0) {
    precision_reason_ = cat(wide, " tensors may be too large or too small for f16");
  }
  if (!precision_reason_.empty()) {
    main_.placement.narrow.clear();
    return {};
  }
  for (const auto& [name, count] : found.hits) main_.report.hits[name] = count;
  options.weights = narrow_weights(*main_.graph, main_.placement);
  narrow_ = std::move(options);
  return {};
}

std::unique_ptr<Session::Variant> Session::copy_with_inputs(
    std::span<const uint32_t> replaced) const {
  auto variant = std::make_unique<Variant>();
  variant->owned = original_->clone(nullptr);
  variant->graph = variant->owned.get();
  variant->inputs = main_.inputs;
  std::map<uint32_t, uint32_t> by_value;
  for (uint32_t i : replaced) by_value[model_.inputs[i].value] = i;
  for (const auto& value : variant->graph->values()) {
    const auto found = by_value.find(value->id);
    if (found == by_value.end()) continue;  // nothing uses it
    value->constant.reset();
    value->contents.reset();
    value->type = model_.inputs[found->second].type;
    variant->graph->inputs.push_back(value.get());
    variant->inputs.push_back(found->second);
  }
  return variant;
}

Result<Session::Variant*> Session::variant_for(const std::vector<RunInput>& inputs) {
  if (!original_) return &main_;
  std::vector<uint32_t> replaced;
  std::string key;
  for (uint32_t i = 0; i < inputs.size(); ++i) {
    if (!model_.inputs[i].has_default || is_left_out(inputs[i])) continue;
    replaced.push_back(i);
    key += cat(i, " ");
  }
  bool special = specialises_;
  if (special) {
    const std::string special_key = cat(key, "=", key_of(inputs));
    const auto it = variants_.find(special_key);
    if (it != variants_.end() && it->second) return it->second.get();
    // What a specialisation holds on the device stays; past this many the general graph serves.
    special =
        it == variants_.end() && specialisations_ < kMaxVariants && variants_.size() < kMaxTried;
    if (special) key = special_key;
  }
  if (key.empty()) return &main_;
  if (auto it = variants_.find(key); it != variants_.end()) return it->second.get();
  std::unique_ptr<Variant> variant = copy_with_inputs(replaced);
  for (size_t i = 0; special && i < variant->inputs.size(); ++i) {
    const RunInput& input = inputs[variant->inputs[i]];
    Value& value = *variant->graph->inputs[i];
    if (!value.type.is_tensor()) continue;
    value.type.shape = Shape(input.dims.begin(), input.dims.end());
    if (!is_integer(value.type.dtype) && value.type.dtype != DType::kBool) continue;
    if (!input.host || !std::ranges::binary_search(host_inputs_, variant->inputs[i])) continue;
    if (input.host->count() > kMaxContents) continue;
    std::vector<Dim> contents;
    for (int64_t e = 0; e < input.host->count(); ++e) contents.emplace_back(input.host->int_at(e));
    value.contents = std::move(contents);
  }
  QUERN_TRY(prepare(*variant, options_.pass_options));
  // A branch that is decided may bring host work on an input whose contents nobody was asked for.
  const bool lacks = std::ranges::any_of(variant->placement.host_inputs, [&](uint32_t i) {
    const RunInput& input = inputs[variant->inputs[i]];
    return !is_left_out(input) && !has_contents(input);
  });
  if (special && lacks) {
    variants_.emplace(std::move(key), nullptr);
    return variant_for(inputs);
  }
  if (special) ++specialisations_;
  return variants_.emplace(std::move(key), std::move(variant)).first->second.get();
}

std::string Session::key_of(const std::vector<RunInput>& inputs) const {
  std::string key;
  for (const RunInput& input : inputs) append_form(key, input);
  for (uint32_t i : host_inputs_) append_contents(key, inputs[i]);
  return key;
}

Result<void> Session::check_inputs(const std::vector<RunInput>& inputs) const {
  if (inputs.size() != model_.inputs.size()) {
    return invalid_argument(cat("got ", inputs.size(), " inputs, expected ", model_.inputs.size()));
  }
  InputChecker checker;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (is_left_out(inputs[i]) && may_be_absent(model_.inputs[i])) continue;
    QUERN_TRY(checker.check(model_.inputs[i], inputs[i]));
    const std::optional<Shape>& shape = model_.inputs[i].type.shape;
    for (size_t a = 0; shape && a < shape->size() && a < inputs[i].dims.size(); ++a) {
      if ((*shape)[a].is_const()) continue;
      std::string symbol;
      append(symbol, (*shape)[a]);
      const auto [lower, upper] = bounds_of(model_, symbol);
      if (inputs[i].dims[a] >= lower && inputs[i].dims[a] <= upper) continue;
      return invalid_argument(cat("input '", model_.inputs[i].name, "': dim ", a, ", '", symbol,
                                  "', is ", inputs[i].dims[a], ", expected ", lower, " to ",
                                  upper));
    }
  }
  for (uint32_t i : host_inputs_) {
    if (!has_contents(inputs[i])) {
      return invalid_argument(
          cat("input '", model_.inputs[i].name, "': the host needs its contents"));
    }
  }
  return {};
}

Result<std::unique_ptr<Walk>> Session::start(std::vector<RunInput> inputs) {
  QUERN_TRY(check_inputs(inputs));
  QUERN_ASSIGN(Variant * variant, variant_for(inputs));
  uint32_t leaf = 0;
  for (RunInput& input : inputs) number_leaves(input, leaf);
  std::vector<RunInput> own;
  for (uint32_t i : variant->inputs) {
    // An optional that is left out is an empty one.
    if (is_left_out(inputs[i])) inputs[i].kind = Type::Kind::kOptional;
    own.push_back(std::move(inputs[i]));
  }
  for (uint32_t i : variant->placement.host_inputs) {
    if (!has_contents(own[i])) return internal_error("contents of an input are wanted too late");
  }
  auto walk = std::make_unique<Walk>(*variant->graph, variant->placement, backend_, memory_,
                                     variant->loaded, options_.limits);
  QUERN_TRY(walk->start(std::move(own)));
  return walk;
}

Result<std::vector<RunInput>> Session::assumed_inputs(int64_t batch, int64_t dim) const {
  std::vector<RunInput> inputs;
  std::map<std::string, int64_t, std::less<>> assumed;
  for (const ModelInput& declared : model_.inputs) {
    RunInput input;
    if (may_be_absent(declared)) {
      inputs.push_back(std::move(input));
      continue;
    }
    if (!declared.type.shape) {
      return unsupported(cat("input '", declared.name, "': its rank is not known"));
    }
    input.dtype = declared.type.dtype;
    for (const Dim& d : *declared.type.shape) {
      std::string symbol;
      append(symbol, d);
      const auto [lower, upper] = bounds_of(model_, symbol);
      const int64_t number = std::min(std::max(input.dims.empty() ? batch : dim, lower), upper);
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

}  // namespace quern
