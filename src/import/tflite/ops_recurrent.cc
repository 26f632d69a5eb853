// Recurrent layers. Their states are variable tensors: what a run leaves in them the next one
// finds, if the caller carries it over.
#include "import/tflite/operators.h"

namespace quern::tflite {
namespace {

/// ONNX's name of a fused activation.
std::string activation_name(Call& c, int activation) {
  switch (activation) {
    case 1:
      return "Relu";
    case 4:
      return "Tanh";
    default:
      c.unsupported(cat("the activation ", activation, " of a recurrent layer"));
      return "Tanh";
  }
}

/// What a layer reads, in the numbering of its first input.
struct Cell {
  size_t weights = 1;    ///< of the gates input, forget, cell, output
  size_t recurrent = 5;  ///< likewise
  size_t peephole = 9;   ///< input, forget, output
  size_t bias = 12;      ///< input, forget, cell, output
  size_t projection = 16;
  size_t hidden = 18;  ///< the state of outputs
  size_t cell = 19;
};

/// Stacks gates in ONNX's order: input, output, forget, cell. Without an input gate (coupled) it
/// is 1 - forget, whose operands are the negative ones.
Tensor gates(Call& c, size_t first) {
  const auto one = [&](size_t gate) { return c.transposed(first + gate, {0, 1}); };
  const Tensor forget = one(1);
  const Tensor input = c.has(first) ? one(0) : c.b.op("Neg", {forget});
  return c.b.unsqueeze(c.b.concat({input, one(3), forget, one(2)}, 0), {0});
}

/// x [time, batch, in]; gives [time, batch, hidden].
Tensor lstm(Call& c, const Tensor& x, const Cell& at, int activation, bool is_reverse) {
  Builder& b = c.b;
  if (c.has(at.projection)) c.unsupported("a projection");
  const Tensor w = gates(c, at.weights);
  const Tensor r = gates(c, at.recurrent);
  if (c.failed()) return x;
  const bool coupled = !c.has(at.weights);
  const auto hidden = c.raw(at.recurrent + 1).extent(1);
  if (!hidden) {
    c.unsupported("weights of unknown size");
    return x;
  }
  const Tensor forget_bias = c.input(at.bias + 1);
  const Tensor input_bias = coupled ? b.op("Neg", {forget_bias}) : c.input(at.bias);
  const Tensor bias =
      b.concat({input_bias, c.input(at.bias + 3), forget_bias, c.input(at.bias + 2)}, 0);
  const Tensor zeros = b.full({b.number(4 * *hidden)}, b.scalar(DType::kF32, 0));
  const Tensor biases = b.unsqueeze(b.concat({bias, zeros}, 0), {0});
  Tensor peepholes;
  if (c.has(at.peephole + 1)) {
    const Tensor forget = c.input(at.peephole + 1);
    const Tensor input = coupled ? b.op("Neg", {forget}) : c.input(at.peephole);
    peepholes = b.unsqueeze(b.concat({input, c.input(at.peephole + 2), forget}, 0), {0});
  }
  const Tensor h0 = b.unsqueeze(c.input(at.hidden), {0});
  const Tensor c0 = b.unsqueeze(c.input(at.cell), {0});
  const std::string name = activation_name(c, activation);
  const auto out = b.ops("LSTM", {x, w, r, biases, Tensor(), h0, c0, peepholes}, 3,
                         {{"hidden_size", *hidden},
                          {"direction", std::string(is_reverse ? "reverse" : "forward")},
                          {"activations", std::vector<std::string>{"Sigmoid", name, name}}},
                         DType::kF32, 4);
  if (c.failed()) return x;
  const auto state = [&](size_t i) { return b.squeeze({out[i].value, DType::kF32, 3}, {0}); };
  c.update(at.hidden, state(1));
  c.update(at.cell, state(2));
  return b.squeeze(out[0], {1});
}

bool is_plain(Call& c, unsigned clip_option, size_t norms) {
  if (c.real(clip_option) != 0 || c.real(clip_option + 1) != 0) {
    c.unsupported("cells that are clipped");
  }
  for (size_t i = norms; norms > 0 && i < norms + 4; ++i) {
    if (c.has(i)) c.unsupported("layer normalisation within a cell");
  }
  return !c.failed();
}

/// The input with time first, and results back.
Tensor with_time_first(Call& c, bool time_major) {
  const Tensor x = c.input(0);
  if (x.rank != 3) c.invalid(cat("an input of rank ", x.rank, ", expected 3"));
  return time_major || c.failed() ? x : c.b.swap(x, 0, 1);
}
void set_sequence(Call& c, const Tensor& y, bool time_major, size_t i = 0) {
  if (!c.failed()) c.set(time_major ? y : c.b.swap(y, 0, 1), i);
}

void sequence_lstm(Call& c, std::string_view) {
  const bool time_major = c.flag(3);
  if (!is_plain(c, 1, 20)) return;
  const Tensor x = with_time_first(c, time_major);
  set_sequence(c, lstm(c, x, {}, c.code(0), false), time_major);
}

/// One step: batch rows of inputs.
void lstm_step(Call& c, std::string_view) {
  if (!is_plain(c, 1, 20)) return;
  const Tensor x = c.input(0);
  if (c.code(3) == 1) {
    // The basic kernel: input, activation, weights, biases, state; gates input, cell, forget,
    // output.
    const Tensor all =
        c.b.op("Gemm", {c.b.concat({x, c.input(1)}, 1), c.transposed(2, {0, 1}), c.input(3)},
               {{"transB", int64_t{1}}}, x.dtype, 2);
    const auto parts =
        c.b.ops("Split", {all}, 4, {{"axis", int64_t{1}}, {"num_outputs", int64_t{4}}}, x.dtype, 2);
    if (c.failed()) return;
    const auto sigmoid = [&](size_t i) { return c.b.op("Sigmoid", {parts[i]}); };
    const Tensor state = c.b.op("Add", {c.b.op("Mul", {sigmoid(0), c.b.op("Tanh", {parts[1]})}),
                                        c.b.op("Mul", {sigmoid(2), c.input(4)})});
    const Tensor y = c.b.op("Mul", {sigmoid(3), c.b.op("Tanh", {state})});
    c.set(y, 0);
    c.set(state, 1);
    c.update(1, y);
    c.update(4, state);
    return;
  }
  const size_t last = c.outputs() - 1;
  const Tensor y = lstm(c, c.b.unsqueeze(x, {0}), {}, c.code(0), false);
  if (!c.failed() && c.outputs() > 0) c.set(c.b.squeeze(y, {0}), last);
}

void merge(Call& c, const Tensor& forward, const Tensor& backward, bool merged, bool time_major) {
  if (c.failed()) return;
  if (merged) return set_sequence(c, c.b.concat({forward, backward}, 2), time_major);
  set_sequence(c, forward, time_major, 0);
  set_sequence(c, backward, time_major, 1);
}

void bidirectional_lstm(Call& c, std::string_view) {
  const bool time_major = c.flag(4, true);
  if (!is_plain(c, 1, 0)) return;
  for (size_t i = 39; i < c.inputs(); ++i) {
    if (c.has(i)) return c.unsupported("auxiliary inputs");
  }
  const Tensor x = with_time_first(c, time_major);
  const Cell forward = {1, 5, 9, 12, 16, 35, 36};
  const Cell backward = {18, 22, 26, 29, 33, 37, 38};
  const Tensor y = lstm(c, x, forward, c.code(0), false);
  merge(c, y, lstm(c, x, backward, c.code(0), true), c.flag(3), time_major);
}

/// x [time, batch, in] with weights, recurrent weights, bias, and state from `first` on.
Tensor rnn(Call& c, const Tensor& x, size_t first, int activation, bool is_reverse) {
  Builder& b = c.b;
  const Tensor recurrent = c.transposed(first + 1, {0, 1});
  const auto hidden = c.raw(first + 1).extent(0);
  if (!hidden) c.unsupported("weights of unknown size");
  if (c.failed()) return x;
  const Tensor zeros = b.full({b.number(*hidden)}, b.scalar(DType::kF32, 0));
  const Tensor biases = b.unsqueeze(b.concat({c.input(first + 2), zeros}, 0), {0});
  const Tensor h0 = b.unsqueeze(c.input(first + 3), {0});
  const std::string name = activation_name(c, activation);
  const auto out = b.ops("RNN",
                         {x, b.unsqueeze(c.transposed(first, {0, 1}), {0}),
                          b.unsqueeze(recurrent, {0}), biases, Tensor(), h0},
                         2,
                         {{"hidden_size", *hidden},
                          {"direction", std::string(is_reverse ? "reverse" : "forward")},
                          {"activations", std::vector<std::string>{name}}},
                         DType::kF32, 4);
  if (c.failed()) return x;
  c.update(first + 3, b.squeeze({out[1].value, DType::kF32, 3}, {0}));
  return b.squeeze(out[0], {1});
}

void rnn_step(Call& c, std::string_view) {
  const Tensor y = rnn(c, c.b.unsqueeze(c.input(0), {0}), 1, c.code(0), false);
  if (!c.failed() && c.outputs() > 0) c.set(c.b.squeeze(y, {0}), c.outputs() - 1);
}

void sequence_rnn(Call& c, std::string_view) {
  const bool time_major = c.flag(0);
  const Tensor x = with_time_first(c, time_major);
  set_sequence(c, rnn(c, x, 1, c.code(1), false), time_major);
}

void bidirectional_rnn(Call& c, std::string_view) {
  const bool time_major = c.flag(0);
  for (size_t i = 9; i < c.inputs(); ++i) {
    if (c.has(i)) return c.unsupported("auxiliary inputs");
  }
  const Tensor x = with_time_first(c, time_major);
  const Tensor y = rnn(c, x, 1, c.code(1), false);
  merge(c, y, rnn(c, x, 5, c.code(1), true), c.flag(2), time_major);
}

/// x [batch, in], features [filters, in], weights in time [filters, memory], bias, and a state
/// [batch, filters * memory]; `rank` filters make a unit.
void svdf(Call& c, std::string_view) {
  Builder& b = c.b;
  const Tensor time = c.transposed(2, {0, 1});
  const auto filters = c.raw(2).extent(0);
  const auto memory = c.raw(2).extent(1);
  const int64_t rank = c.option(0);
  if (c.failed()) return;
  if (!filters || !memory || rank < 1 || *filters % rank != 0) {
    return c.invalid("filters that make no whole units");
  }
  const Tensor now =
      b.op("Gemm", {c.input(0), c.transposed(1, {0, 1})}, {{"transB", int64_t{1}}}, DType::kF32, 2);
  const Tensor before = b.reshape(c.input(4), Ints{-1, *filters, *memory});
  const Tensor kept = b.slice(before, 2, b.number(1), b.number(*memory));
  const Tensor state = b.concat({kept, b.unsqueeze(now, {2})}, 2);
  const Tensor filtered = b.reduce("ReduceSum", b.op("Mul", {state, time}), {2}, false);
  Tensor y =
      b.reduce("ReduceSum", b.reshape(filtered, Ints{-1, *filters / rank, rank}), {2}, false);
  if (c.has(3)) y = b.op("Add", {y, c.input(3)});
  c.update(4, b.reshape(state, Ints{-1, *filters * *memory}));
  if (c.outputs() > 0) c.set(c.activate(y, c.code(1)), c.outputs() - 1);
}

constexpr Operator kOperators[] = {
    {16, "LSTM", "LSTM", lstm_step},
    {24, "RNN", "RNN", rnn_step},
    {27, "SVDF", "Gemm, Mul, ReduceSum", svdf},
    {35, "UNIDIRECTIONAL_SEQUENCE_RNN", "RNN", sequence_rnn},
    {44, "UNIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", sequence_lstm},
    {46, "BIDIRECTIONAL_SEQUENCE_RNN", "RNN", bidirectional_rnn},
    {52, "BIDIRECTIONAL_SEQUENCE_LSTM", "LSTM", bidirectional_lstm},
};

}  // namespace

std::span<const Operator> recurrent_operators() { return kOperators; }

}  // namespace quern::tflite
