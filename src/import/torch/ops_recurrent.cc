// LSTM, GRU and plain recurrent layers, stacked and in both directions.
#include "import/torch/operators.h"

namespace quern::torch {
namespace {

enum class Cell : uint8_t { kLstm, kGru, kTanh, kRelu };

/// Gates of one tensor of PyTorch's [gates hidden, ...] in the order that ONNX wants: i o f c for
/// i f g o, z r h for r z n.
Tensor ordered(Builder& b, const Tensor& x, Cell cell) {
  if (cell == Cell::kTanh || cell == Cell::kRelu) return x;
  const Ints order = cell == Cell::kLstm ? Ints{0, 3, 1, 2} : Ints{1, 0, 2};
  const auto gates = static_cast<int64_t>(order.size());
  const auto parts = b.ops("Split", {x}, order.size(),
                           {{"axis", int64_t{0}}, {"num_outputs", gates}}, x.dtype, x.rank);
  if (b.failed()) return x;
  std::vector<Tensor> out;
  for (const int64_t i : order) out.push_back(parts[static_cast<size_t>(i)]);
  return b.concat(out, 0);
}

/// Both directions of a parameter, with a first axis for the direction.
Tensor gathered(Builder& b, const std::vector<Tensor>& params, size_t first, size_t step,
                size_t directions, Cell cell) {
  std::vector<Tensor> parts;
  for (size_t d = 0; d < directions; ++d) {
    parts.push_back(b.unsqueeze(ordered(b, params[first + d * step], cell), {0}));
  }
  return parts.size() == 1 ? parts[0] : b.concat(parts, 0);
}

void recurrent(Call& c, std::string_view ours) {
  const Cell cell = ours == "LSTM"                                      ? Cell::kLstm
                    : ours == "GRU"                                     ? Cell::kGru
                    : c.target().find("relu") != std::string_view::npos ? Cell::kRelu
                                                                        : Cell::kTanh;
  Tensor x = c.tensor("input");
  std::vector<Tensor> states =
      cell == Cell::kLstm ? c.tensors("hx") : std::vector<Tensor>{c.tensor("hx")};
  const std::vector<Tensor> params = c.tensors("params");
  const bool biases = c.flag("has_biases", true);
  const int64_t layers = c.integer("num_layers", 1);
  const size_t directions = c.flag("bidirectional", false) ? 2 : 1;
  const bool batch_first = c.flag("batch_first", false);
  if (c.flag("train", false) && c.number("dropout", 0) > 0) {
    return c.unsupported("dropout in training; export the model after .eval()");
  }
  if (c.failed()) return;
  Builder& b = c.b;
  const size_t step = biases ? 4 : 2;
  if (layers < 1 || params.size() != static_cast<size_t>(layers) * directions * step) {
    return c.unsupported(cat(params.size(), " parameters for ", layers, " layers of ", directions,
                             " directions: projections are not read"));
  }
  if (cell == Cell::kLstm && states.size() != 2) return c.invalid("hx is not two tensors");
  const bool unbatched = x.rank == 2;
  if (unbatched) {
    x = b.unsqueeze(x, {batch_first ? 0 : 1});
    for (Tensor& state : states) state = b.unsqueeze(state, {1});
  }
  if (x.rank != 3) return c.invalid(cat("an input of rank ", x.rank));
  if (batch_first) x = b.permute(x, {1, 0, 2});
  std::vector<std::vector<Tensor>> last(states.size());
  for (int64_t layer = 0; layer < layers; ++layer) {
    const size_t first = static_cast<size_t>(layer) * directions * step;
    const auto hidden = params[first + 1].extent(1);
    if (!hidden) return c.unsupported("a hidden size that is not known");
    const Tensor w = gathered(b, params, first, step, directions, cell);
    const Tensor r = gathered(b, params, first + 1, step, directions, cell);
    Tensor bias;
    if (biases) {
      bias = b.concat({gathered(b, params, first + 2, step, directions, cell),
                       gathered(b, params, first + 3, step, directions, cell)},
                      1);
    }
    std::vector<Tensor> inputs = {x, w, r, bias, Tensor()};
    const auto d = static_cast<int64_t>(directions);
    for (const Tensor& state : states) {
      inputs.push_back(b.slice(state, 0, b.number(layer * d), b.number(layer * d + d)));
    }
    const std::string direction = directions == 2 ? "bidirectional" : "forward";
    std::vector<Tensor> y;
    if (cell == Cell::kGru) {
      y = b.ops(
          "GRU", inputs, 2,
          {{"hidden_size", *hidden}, {"direction", direction}, {"linear_before_reset", int64_t{1}}},
          x.dtype, 3);
    } else if (cell == Cell::kLstm) {
      y = b.ops("LSTM", inputs, 3, {{"hidden_size", *hidden}, {"direction", direction}}, x.dtype,
                3);
    } else {
      const std::string name = cell == Cell::kRelu ? "Relu" : "Tanh";
      y = b.ops("RNN", inputs, 2,
                {{"hidden_size", *hidden},
                 {"direction", direction},
                 {"activations", std::vector<std::string>(directions, name)}},
                x.dtype, 3);
    }
    if (b.failed()) return;
    // [steps, directions, batch, hidden] to [steps, batch, directions hidden].
    Tensor all = y[0];
    all.rank = 4;
    if (directions == 1) {
      x = b.squeeze(all, {1});
    } else {
      const std::vector<Size> sizes = {b.size(x, 0), b.size(x, 1), b.number(d * *hidden)};
      x = b.reshape(b.permute(all, {0, 2, 1, 3}), sizes);
    }
    for (size_t i = 0; i < states.size(); ++i) last[i].push_back(y[i + 1]);
  }
  if (batch_first) x = b.permute(x, {1, 0, 2});
  c.set(unbatched ? b.squeeze(x, {batch_first ? 0 : 1}) : x, 0);
  for (size_t i = 0; i < states.size(); ++i) {
    const Tensor state = last[i].size() == 1 ? last[i][0] : b.concat(last[i], 0);
    c.set(unbatched ? b.squeeze(state, {1}) : state, i + 1);
  }
}

/// The gates of one step, before their functions: x W^T + b.
Tensor gates(Call& c, const Tensor& x, std::string_view weight, std::string_view bias) {
  return c.b.op("Gemm", {x, c.tensor(weight), c.optional(bias)}, {{"transB", int64_t{1}}}, x.dtype,
                2);
}

void lstm_cell(Call& c, std::string_view) {
  const std::vector<Tensor> states = c.tensors("hx");
  const Tensor x = c.tensor("input");
  if (c.failed() || states.size() != 2 || x.rank != 2) return c.invalid("hx is not two tensors");
  Builder& b = c.b;
  const Tensor sum =
      b.op("Add", {gates(c, x, "w_ih", "b_ih"), gates(c, states[0], "w_hh", "b_hh")});
  const auto g =
      b.ops("Split", {sum}, 4, {{"axis", int64_t{1}}, {"num_outputs", int64_t{4}}}, x.dtype, 2);
  if (c.failed()) return;
  const auto sigmoid = [&](const Tensor& y) { return b.op("Sigmoid", {y}); };
  const Tensor cell = b.op("Add", {b.op("Mul", {sigmoid(g[1]), states[1]}),
                                   b.op("Mul", {sigmoid(g[0]), b.op("Tanh", {g[2]})})});
  c.set(b.op("Mul", {sigmoid(g[3]), b.op("Tanh", {cell})}), 0);
  c.set(cell, 1);
}

void gru_cell(Call& c, std::string_view) {
  const Tensor h = c.tensor("hx");
  const Tensor x = c.tensor("input");
  Builder& b = c.b;
  const auto split = [&](const Tensor& y) {
    return b.ops("Split", {y}, 3, {{"axis", int64_t{1}}, {"num_outputs", int64_t{3}}}, y.dtype, 2);
  };
  const auto i = split(gates(c, x, "w_ih", "b_ih"));
  const auto s = split(gates(c, h, "w_hh", "b_hh"));
  if (c.failed()) return;
  const Tensor reset = b.op("Sigmoid", {b.op("Add", {i[0], s[0]})});
  const Tensor update = b.op("Sigmoid", {b.op("Add", {i[1], s[1]})});
  const Tensor next = b.op("Tanh", {b.op("Add", {i[2], b.op("Mul", {reset, s[2]})})});
  c.set(b.op("Add", {next, b.op("Mul", {update, b.op("Sub", {h, next})})}));
}

void rnn_cell(Call& c, std::string_view ours) {
  const Tensor sum = c.b.op("Add", {gates(c, c.tensor("input"), "w_ih", "b_ih"),
                                    gates(c, c.tensor("hx"), "w_hh", "b_hh")});
  c.set(c.b.op(ours, {sum}));
}

constexpr Operator kOperators[] = {
    {"aten.lstm", "input", "LSTM", recurrent},
    {"aten.gru", "input", "GRU", recurrent},
    {"aten.rnn_tanh", "input", "RNN", recurrent},
    {"aten.rnn_relu", "input", "RNN", recurrent},
    {"aten.lstm_cell", "default", "Gemm, Sigmoid, Tanh", lstm_cell},
    {"aten.gru_cell", "default", "Gemm, Sigmoid, Tanh", gru_cell},
    {"aten.rnn_tanh_cell", "default", "Tanh", rnn_cell},
    {"aten.rnn_relu_cell", "default", "Relu", rnn_cell},
};

}  // namespace

std::span<const Operator> recurrent_operators() { return kOperators; }

}  // namespace quern::torch
