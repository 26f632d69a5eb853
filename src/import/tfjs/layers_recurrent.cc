// Recurrent layers.
#include <algorithm>

#include "import/tfjs/layer.h"

namespace quern::tfjs {
namespace {

/// Gates of Keras, in the order that ONNX has them.
struct Cell {
  std::string_view op;
  std::vector<size_t> order;
};

std::optional<Cell> cell_of(std::string_view kind) {
  if (kind == "LSTM") return Cell{"LSTM", {0, 3, 1, 2}};  // i f c o to i o f c
  if (kind == "GRU") return Cell{"GRU", {0, 1, 2}};
  if (kind == "SimpleRNN") return Cell{"RNN", {0}};
  return {};
}

struct Activation {
  std::string name;
  float alpha = 0, beta = 0;
};

Activation activation_of(Layer& l, std::string_view key, std::string_view fallback) {
  std::string_view name = activation_name(member(l.config, key));
  if (name.empty()) name = fallback;
  if (name == "tanh") return {"Tanh"};
  if (name == "sigmoid") return {"Sigmoid"};
  if (name == "hard_sigmoid") return {"HardSigmoid", 0.2F, 0.5F};
  if (name == "relu") return {"Relu"};
  if (name == "elu") return {"Elu", 1};
  if (name == "softsign") return {"Softsign"};
  if (name == "softplus") return {"Softplus"};
  if (name == "linear") return {"Affine", 1, 0};
  l.unsupported(cat("the activation '", name, "' in a recurrent layer"));
  return {"Tanh"};
}

/// Columns of a weight [.., gates * units] in another order of gates.
Tensor ordered(Emitter& b, const Tensor& x, const std::vector<size_t>& order, int64_t units) {
  const size_t axis = x.rank - 1;
  std::vector<Tensor> parts;
  for (const size_t gate : order) {
    const auto from = static_cast<int64_t>(gate) * units;
    parts.push_back(b.slice(x, axis, b.number(from), b.number(from + units)));
  }
  return parts.size() == 1 ? x : b.Builder::concat(parts, axis);
}

void recurrent(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const auto cell = cell_of(l.kind);
  const int64_t units = l.integer("units", 0);
  const Tensor given = l.x();
  const auto gates = static_cast<int64_t>(cell->order.size());
  if (l.flag("stateful", false)) return l.unsupported("a layer that keeps its state between runs");
  const Tensor kernel = l.weight("kernel"), recurrent_kernel = l.weight("recurrent_kernel");
  if (b.failed() || given.rank != 3 || units < 1 || kernel.rank != 2 ||
      recurrent_kernel.rank != 2) {
    return l.invalid("an input of rank 3 and kernels of rank 2 were expected");
  }
  const bool reset_after = l.flag("reset_after", false);
  const auto turned = [&](const Tensor& w) {
    return b.Builder::unsqueeze(b.Builder::permute(ordered(b, w, cell->order, units), {1, 0}), {0});
  };
  Tensor bias;
  if (l.flag("use_bias", true)) {
    const Tensor w = l.weight("bias");
    const Tensor zeros = b.constant([&] {
      HostTensor host;
      host.dtype = DType::kF32;
      host.dims = {gates * units};
      host.bytes.resize(byte_size(DType::kF32, static_cast<uint64_t>(gates * units)));
      return host;
    }());
    Tensor both;
    if (w.rank == 2) {
      both = b.reshape_ints(ordered(b, w, cell->order, units), {-1});
    } else {
      both = b.Builder::concat({ordered(b, w, cell->order, units), zeros}, 0);
    }
    bias = b.Builder::unsqueeze(both, {0});
  }
  Tensor x = given;
  if (l.flag("go_backwards", false)) {
    x = b.shaped(b.op("Slice", {x, b.ints({-1}), b.ints({-INT64_MAX}), b.ints({1}), b.ints({-1})},
                      {}, x.dtype, 3),
                 b.shape(given));
  }
  const Shape dims = b.shape(given);
  x = b.permute(x, {1, 0, 2});
  const Activation inner = activation_of(l, "recurrent_activation", "hard_sigmoid");
  const Activation outer = activation_of(l, "activation", "tanh");
  std::vector<std::string> names;
  std::vector<float> alphas, betas;
  const auto add = [&](const Activation& a) {
    names.push_back(a.name);
    if (a.name == "HardSigmoid" || a.name == "Affine" || a.name == "Elu") alphas.push_back(a.alpha);
    if (a.name == "HardSigmoid" || a.name == "Affine") betas.push_back(a.beta);
  };
  if (cell->op != "RNN") add(inner);
  add(outer);
  if (cell->op == "LSTM") add(outer);
  const auto state = [&](size_t i) {
    return i < l.inputs.size() ? b.Builder::unsqueeze(l.inputs[i], {0}) : Tensor{};
  };
  std::vector<Tensor> inputs = {x, turned(kernel), turned(recurrent_kernel), bias, {}, state(1)};
  if (cell->op == "LSTM") inputs.push_back(state(2));
  const size_t results = cell->op == "LSTM" ? 3 : 2;
  std::vector<Tensor> out;
  if (cell->op == "GRU") {
    out = b.ops("GRU", inputs, results,
                {{"hidden_size", units},
                 {"activations", names},
                 {"activation_alpha", alphas},
                 {"activation_beta", betas},
                 {"linear_before_reset", int64_t{reset_after}}},
                x.dtype, 4);
  } else {
    out = b.ops(cell->op, inputs, results,
                {{"hidden_size", units},
                 {"activations", names},
                 {"activation_alpha", alphas},
                 {"activation_beta", betas}},
                x.dtype, 4);
  }
  if (b.failed()) return;
  const Tensor all = b.shaped(out[0], {dims[1], 1, dims[0], units});
  const auto last = [&](Tensor t) { return b.squeeze(b.shaped(t, {1, dims[0], units}), {0}); };
  l.set(l.flag("return_sequences", false) ? b.permute(b.squeeze(all, {1}), {1, 0, 2})
                                          : last(out[1]));
  if (!l.flag("return_state", false)) return;
  for (size_t i = 1; i < results; ++i) l.outputs.push_back(last(out[i]));
}

Tensor backwards(Emitter& b, const Tensor& x) {
  return b.shaped(b.op("Slice", {x, b.ints({-1}), b.ints({-INT64_MAX}), b.ints({1}), b.ints({-1})},
                       {}, x.dtype, x.rank),
                  b.shape(x));
}

void bidirectional(Layer& l, std::string_view) {
  Emitter& b = l.b;
  const Json& forward = member(l.config, "layer");
  const Json& inner = member(forward, "config");
  if (!cell_of(text_of(member(forward, "class_name"))))
    return l.unsupported("a layer other than LSTM, GRU and SimpleRNN");
  if (member(inner, "return_state") == true || l.inputs.size() > 1)
    return l.unsupported("states of both directions");
  Json backward = forward;
  Json& config = backward["config"];
  config["go_backwards"] = !(member(inner, "go_backwards") == true);
  const std::string name(text_of(member(inner, "name")));
  std::vector<Tensor> sides;
  for (const bool is_forward : {true, false}) {
    const std::string own = cat(is_forward ? "forward_" : "backward_", name);
    std::vector<std::string> owners;
    for (const std::string& owner : l.owners) owners.push_back(cat(owner, "/", own));
    // tfjs-layers names the weights by the direction's layer alone.
    owners.push_back(own);
    const auto results = l.apply(is_forward ? forward : backward, owners, l.inputs);
    if (b.failed() || results.empty()) return;
    sides.push_back(results[0]);
  }
  if (sides[1].rank == 3) sides[1] = backwards(b, sides[1]);
  const Json& merge = member(l.config, "merge_mode");
  const std::string_view mode = merge.is_null() ? std::string_view() : text_of(merge);
  if (mode == "concat") return l.set(b.concat(sides, sides[0].rank - 1));
  if (mode == "sum") return l.set(b.binary("Add", sides[0], sides[1]));
  if (mode == "mul") return l.set(b.binary("Mul", sides[0], sides[1]));
  if (mode == "ave") {
    const Tensor sum = b.binary("Add", sides[0], sides[1]);
    return l.set(b.binary("Mul", sum, b.number_like(sum, 0.5)));
  }
  l.outputs = sides;
}

constexpr LayerKind kKinds[] = {
    {"LSTM", "LSTM", recurrent},
    {"GRU", "GRU", recurrent},
    {"SimpleRNN", "RNN", recurrent},
    {"Bidirectional", "its layer, twice", bidirectional},
};

}  // namespace

std::span<const LayerKind> recurrent_layers() { return kKinds; }

}  // namespace quern::tfjs
