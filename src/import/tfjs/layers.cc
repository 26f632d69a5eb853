#include "import/tfjs/layers.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "import/tfjs/layer.h"
#include "import/tfjs/topology.h"
#include "ir/operator_list.h"

namespace quern::tfjs {
namespace {

constexpr size_t kMostLayers = 100'000;
constexpr size_t kMostSteps = 1'000'000;
constexpr int kMostNested = 32;

bool is_model(std::string_view kind) {
  return kind == "Sequential" || kind == "Functional" || kind == "Model";
}

/// {"class_name": .., "config": ..} of a topology.
const Json& root_of(const Json& topology) {
  const Json& inner = member(topology, "model_config");
  return inner.is_object() ? inner : topology;
}

/// A Sequential's config may be the list itself.
const Json& layers_of(const Json& model) {
  const Json& config = member(model, "config");
  return config.is_array() ? config : member(config, "layers");
}

std::string_view name_of_layer(const Json& layer) {
  const std::string_view name = text_of(member(layer, "name"));
  return name.empty() ? text_of(member(member(layer, "config"), "name")) : name;
}

/// One of a layer's outputs.
struct Reference {
  std::string_view layer;
  size_t node = 0, tensor = 0;
};

std::optional<Reference> reference(const Json& json) {
  const Json::array_t& items = items_of(json);
  if (items.size() < 3 || !items[0].is_string()) return {};
  const auto node = integer_of(items[1]), tensor = integer_of(items[2]);
  if (!node || !tensor || *node < 0 || *tensor < 0) return {};
  return Reference{text_of(items[0]), static_cast<size_t>(*node), static_cast<size_t>(*tensor)};
}

/// References of one call, wherever they are: [["x", 0, 0, {}], ..], or Keras 3's objects.
void collect(const Json& json, std::vector<Reference>& out, int depth = 0) {
  if (depth > 16 || out.size() > kMostLayers) return;
  if (const auto one = reference(json)) {
    out.push_back(*one);
    return;
  }
  const Json& history = member(member(json, "config"), "keras_history");
  if (history.is_array()) return collect(history, out, depth + 1);
  if (json.is_array()) {
    for (const Json& item : json) collect(item, out, depth + 1);
  } else if (json.is_object()) {
    collect(member(json, "args"), out, depth + 1);
  }
}

/// ["x", 0, 0], or a list of such.
std::vector<Reference> references(const Json& json) {
  std::vector<Reference> out;
  collect(json, out);
  return out;
}

class LayersBuilder {
 public:
  LayersBuilder(const Json& topology, Weights& weights)
      : root_(root_of(topology)),
        graph_(std::make_unique<Graph>()),
        b_(*graph_, shared_),
        weights_(weights) {
    shared_.index = DType::kI32;
    model_.format = "TensorFlow.js";
    model_.producer = cat("Keras ", text_of(member(topology, "keras_version")));
    model_.opsets[""] = emit::kOpset;
  }

  Result<Model> build() {
    QUERN_TRY(check_kinds());
    const std::vector<Tensor> outputs = apply_model(root_, {}, {}, true);
    QUERN_TRY(b_.located());
    std::set<std::string> used;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const Tensor& x = outputs[i];
      if (!x) return invalid_model("an output that is computed nowhere");
      std::string name(i < output_names_.size() ? output_names_[i] : std::string_view("output"));
      if (!used.insert(name).second) {
        name = cat(name, "_", i);
        used.insert(name);
      }
      Value* value = x.value;
      if (value->producer == nullptr || graph_->is_output(value)) {
        b_.set_scope(name);
        value = b_.op("Identity", {x}, {}, x.dtype, x.rank).value;
      }
      value->name = name;
      graph_->outputs.push_back(value);
    }
    QUERN_TRY(b_.located());
    if (graph_->outputs.empty()) return invalid_model("the model has no outputs");
    for (const auto& node : graph_->nodes()) {
      for (Value* value : node->outputs) {
        value->type.shape.reset();
        value->contents.reset();
      }
    }
    QUERN_TRY(graph_->sort());
    model_.metadata["quern.format"] = model_.format;
    model_.graph = std::move(graph_);
    return std::move(model_);
  }

 private:
  /// All layers, those in layers too.
  Result<void> check_kinds() {
    OperatorList missing;
    bool masks = false, recurs = false;
    std::vector<const Json*> open = {&root_};
    for (size_t seen = 0; seen < open.size(); ++seen) {
      const Json& layer = *open[seen];
      if (seen > kMostLayers) return limit_exceeded(cat("more than ", kMostLayers, " layers"));
      const std::string_view kind = text_of(member(layer, "class_name"));
      const Json& config = member(layer, "config");
      if (is_model(kind)) {
        for (const Json& inner : items_of(layers_of(layer))) open.push_back(&inner);
        continue;
      }
      if (member(config, "layer").is_object()) open.push_back(&member(config, "layer"));
      masks = masks || kind == "Masking" || member(config, "mask_zero") == true;
      recurs = recurs || kind == "LSTM" || kind == "GRU" || kind == "SimpleRNN" ||
               kind == "Bidirectional";
      if (find_layer(kind) != nullptr) continue;
      missing.add(std::string(kind), name_of_layer(layer));
    }
    missing.sort();
    if (!missing.empty()) return unsupported(cat("unsupported layers: ", missing.text("layer")));
    if (masks && recurs) return unsupported("masks (Masking, mask_zero) before recurrent layers");
    return {};
  }

  Tensor add_input(const Json& layer) {
    const Json& config = member(layer, "config");
    const std::string name(name_of_layer(layer));
    const Json* shape = &member(config, "batch_input_shape");
    if (!shape->is_array()) shape = &member(config, "batch_shape");
    const std::string_view type = text_of(member(config, "dtype"));
    const DType dtype = type == "int32" || type == "int64" || type == "uint8" ? DType::kI32
                        : type == "bool"                                      ? DType::kBool
                                                                              : DType::kF32;
    if (!shape->is_array() || type == "string" || type == "complex64") {
      b_.unsupported(cat("input '", name, "' of unknown shape or type '", type, "'"));
      return {};
    }
    Shape dims;
    std::string word;
    for (const char c : name) {
      const bool ok = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      word += ok ? c : '_';
    }
    if (word.empty() || (word[0] >= '0' && word[0] <= '9')) word = cat("input_", word);
    for (const Json& dim : *shape) {
      const auto n = integer_of(dim);
      dims.push_back(n && *n >= 0 ? Dim(*n) : Dim::symbol(cat(word, "_dim", dims.size())));
    }
    Value* value =
        graph_->add_input(name.empty() ? std::string("input") : name, Type::tensor(dtype, dims));
    return {value, dtype, dims.size()};
  }

  std::vector<Tensor> apply_layer(const Json& layer, std::vector<std::string> owners,
                                  const std::vector<Tensor>& inputs) {
    if (b_.failed()) return {};
    if (++steps_ > kMostSteps) {
      b_.fail(ErrorCode::kLimit, "a model of too many layers");
      return {};
    }
    const std::string_view kind = text_of(member(layer, "class_name"));
    const std::string_view name = name_of_layer(layer);
    if (is_model(kind)) {
      if (++nested_ > kMostNested) {
        b_.fail(ErrorCode::kLimit, "models are nested too deep");
        return {};
      }
      auto out = apply_model(layer, owners, inputs, false);
      --nested_;
      return out;
    }
    const LayerKind* found = find_layer(kind);
    b_.at(cat("layer '", name, "' (", kind, ")"));
    b_.set_scope(std::string(name));
    if (found == nullptr) {
      b_.unsupported("an unknown layer");
      return {};
    }
    Layer call(b_, weights_, layer, std::move(owners), inputs,
               [this](const Json& inner, std::vector<std::string> names,
                      const std::vector<Tensor>& given) {
                 if (++nested_ > kMostNested) {
                   b_.fail(ErrorCode::kLimit, "layers are nested too deep");
                   return std::vector<Tensor>();
                 }
                 auto out = apply_layer(inner, std::move(names), given);
                 --nested_;
                 return out;
               });
    found->translate(call, found->ours);
    return std::move(call.outputs);
  }

  /// A model on inputs; the outermost one makes its own.
  std::vector<Tensor> apply_model(const Json& model, const std::vector<std::string>& owners,
                                  const std::vector<Tensor>& inputs, bool outermost) {
    if (text_of(member(model, "class_name")) == "Sequential") {
      return apply_sequential(model, inputs, outermost);
    }
    return apply_functional(model, owners, inputs, outermost);
  }

  std::vector<Tensor> apply_sequential(const Json& model, std::vector<Tensor> values,
                                       bool outermost) {
    const Json::array_t& layers = items_of(layers_of(model));
    bool first = true;
    for (const Json& layer : layers) {
      if (b_.failed()) return {};
      const std::string_view kind = text_of(member(layer, "class_name"));
      if (first && outermost) {
        // A model as the first layer has the input inside.
        const Json* source = &layer;
        for (int i = 0; i < kMostNested && is_model(text_of(member(*source, "class_name"))); ++i) {
          const Json::array_t& inner = items_of(layers_of(*source));
          if (inner.empty()) break;
          source = &inner[0];
        }
        values = {add_input(*source)};
      }
      first = false;
      if (kind == "InputLayer") continue;
      values = apply_layer(layer, {std::string(name_of_layer(layer))}, values);
    }
    if (outermost && !layers.empty()) output_names_ = {name_of_layer(layers.back())};
    return values;
  }

  /// One call of a layer in a Functional model.
  struct Node {
    const Json* layer;
    std::vector<Reference> from;
    std::vector<Tensor> values;
    bool done = false;
  };

  /// A model in a model was called once when it was made, and tfjs-layers counts that call, which
  /// the file does not list: references to such layers are brought down to what there is.
  static void shift_calls(std::map<std::pair<std::string_view, size_t>, Node>& nodes,
                          std::vector<Reference>& outputs) {
    std::map<std::string_view, size_t> calls, last;
    for (const auto& [key, node] : nodes)
      calls[key.first] = std::max(calls[key.first], key.second + 1);
    const auto note = [&](const Reference& from) {
      last[from.layer] = std::max(last[from.layer], from.node);
    };
    for (const auto& [key, node] : nodes) std::ranges::for_each(node.from, note);
    std::ranges::for_each(outputs, note);
    const auto shift = [&](Reference& from) {
      const bool is_one_past = calls[from.layer] > 0 && last[from.layer] == calls[from.layer];
      if (is_one_past && from.node > 0) --from.node;
    };
    for (auto& [key, node] : nodes) std::ranges::for_each(node.from, shift);
    std::ranges::for_each(outputs, shift);
  }

  std::vector<Tensor> apply_functional(const Json& model, const std::vector<std::string>&,
                                       const std::vector<Tensor>& inputs, bool outermost) {
    const Json& config = member(model, "config");
    std::map<std::pair<std::string_view, size_t>, Node> nodes;
    for (const Json& layer : items_of(member(config, "layers"))) {
      const std::string_view name = name_of_layer(layer);
      const Json::array_t& calls = items_of(member(layer, "inbound_nodes"));
      for (size_t i = 0; i < std::max<size_t>(calls.size(), 1); ++i) {
        Node node{&layer, {}, {}, false};
        if (i < calls.size()) collect(calls[i], node.from);
        nodes.emplace(std::pair(name, i), std::move(node));
      }
    }
    const auto sources = references(member(config, "input_layers"));
    auto wanted = references(member(config, "output_layers"));
    shift_calls(nodes, wanted);
    for (size_t i = 0; i < sources.size(); ++i) {
      const auto found = nodes.find({sources[i].layer, sources[i].node});
      if (found == nodes.end()) {
        b_.invalid(cat("the input '", sources[i].layer, "' is no layer"));
        return {};
      }
      Node& node = found->second;
      if (outermost) {
        node.values = {add_input(*node.layer)};
      } else if (i < inputs.size()) {
        node.values = {inputs[i]};
      } else {
        b_.invalid("a model with too few inputs");
      }
      node.done = true;
    }
    // Depth first from the outputs, on a stack of its own.
    std::vector<std::pair<Node*, bool>> stack;
    const auto push = [&](const Reference& from) {
      const auto found = nodes.find({from.layer, from.node});
      if (found == nodes.end()) {
        b_.invalid(cat("there is no call ", from.node, " of layer '", from.layer, "'"));
        return;
      }
      if (!found->second.done) stack.emplace_back(&found->second, false);
    };
    const auto value_of = [&](const Reference& from) -> Tensor {
      const auto found = nodes.find({from.layer, from.node});
      if (found != nodes.end() && from.tensor < found->second.values.size())
        return found->second.values[from.tensor];
      b_.invalid(cat("layer '", from.layer, "' has no output ", from.tensor));
      return {};
    };
    std::set<const Node*> open;
    for (const Reference& output : wanted) {
      push(output);
      while (!stack.empty() && !b_.failed()) {
        auto& [node, expanded] = stack.back();
        if (node->done) {
          stack.pop_back();
          continue;
        }
        if (!expanded) {
          expanded = true;
          Node* current = node;
          if (!open.insert(current).second) {
            b_.invalid(cat("layer '", name_of_layer(*current->layer), "' is part of a cycle"));
            break;
          }
          for (const Reference& from : current->from) push(from);
          continue;
        }
        Node* current = node;
        stack.pop_back();
        std::vector<Tensor> given;
        for (const Reference& from : current->from) given.push_back(value_of(from));
        if (b_.failed()) break;
        if (given.empty()) {
          b_.invalid(cat("layer '", name_of_layer(*current->layer), "' has no inputs"));
          break;
        }
        current->values =
            apply_layer(*current->layer, {std::string(name_of_layer(*current->layer))}, given);
        current->done = true;
      }
      if (b_.failed()) return {};
    }
    std::vector<Tensor> out;
    for (const Reference& output : wanted) {
      out.push_back(value_of(output));
      if (outermost) output_names_.push_back(output.layer);
    }
    return out;
  }

  const Json& root_;
  Model model_;
  std::unique_ptr<Graph> graph_;
  tensorflow::Shared shared_;
  Emitter b_;
  Weights& weights_;
  std::vector<std::string_view> output_names_;
  size_t steps_ = 0;
  int nested_ = 0;
};

}  // namespace

bool is_layers_topology(const Json& topology) {
  return is_model(text_of(member(root_of(topology), "class_name")));
}

Result<Model> build_layers_model(const Json& topology, Weights& weights) {
  return LayersBuilder(topology, weights).build();
}

}  // namespace quern::tfjs
