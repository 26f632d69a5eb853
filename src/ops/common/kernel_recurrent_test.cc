// LSTM, GRU and RNN: CPU kernels against the specification's equations.
#include <cmath>

#include "ops/common/kernel_testing.h"
#include "ops/common/recurrent_shape.h"

namespace quern {

extern const CpuKernel cpu_lstm;
extern const CpuKernel cpu_gru;
extern const CpuKernel cpu_rnn;

namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Case {
  int64_t steps, batch, input, hidden, directions;
  bool batch_first, reverse, linear, input_forget, bias, lengths, h0, c0, peepholes;
  float clip;
};

struct Tensors {
  HostTensor x, w, r, b, lengths, h0, c0, p;
};

/// Y, Y_h, Y_c by the equations of the specification, in double.
std::vector<HostTensor> reference(const Case& c, const Tensors& t, int64_t gates,
                                  std::vector<HostTensor> like) {
  const int64_t H = c.hidden, G = gates * H;
  for (HostTensor& o : like) std::fill(o.bytes.begin(), o.bytes.end(), uint8_t{0});
  const auto clip = [&](double v) {
    return c.clip > 0 ? std::clamp<double>(v, -c.clip, c.clip) : v;
  };
  for (int64_t d = 0; d < c.directions; ++d) {
    for (int64_t n = 0; n < c.batch; ++n) {
      const int64_t state = (c.batch_first ? n * c.directions + d : d * c.batch + n) * H;
      std::vector<double> h(static_cast<size_t>(H)), cell(static_cast<size_t>(H));
      for (int64_t u = 0; u < H; ++u) {
        const auto i = static_cast<size_t>(u);
        if (c.h0) h[i] = t.h0.float_at(state + u);
        if (c.c0) cell[i] = t.c0.float_at(state + u);
      }
      const int64_t length = c.lengths ? t.lengths.int_at(n) : c.steps;
      for (int64_t s = 0; s < length; ++s) {
        const int64_t at = d == 1 || c.reverse ? length - 1 - s : s;
        const int64_t row = c.batch_first ? n * c.steps + at : at * c.batch + n;
        const auto xw = [&](int64_t gate, int64_t u) {
          double v = c.bias ? t.b.float_at(d * 2 * G + gate * H + u) : 0;
          for (int64_t k = 0; k < c.input; ++k) {
            v += t.x.float_at(row * c.input + k) *
                 t.w.float_at((d * G + gate * H + u) * c.input + k);
          }
          return v;
        };
        const auto hr = [&](int64_t gate, int64_t u, const std::vector<double>& from) {
          double v = c.bias ? t.b.float_at(d * 2 * G + G + gate * H + u) : 0;
          for (int64_t k = 0; k < H; ++k) {
            v += from[static_cast<size_t>(k)] * t.r.float_at((d * G + gate * H + u) * H + k);
          }
          return v;
        };
        const auto peep = [&](int64_t gate, int64_t u, double by) {
          return c.peepholes ? t.p.float_at((d * 3 + gate) * H + u) * by : 0;
        };
        std::vector<double> next = h, reset = h;
        if (gates == 3) {
          for (int64_t u = 0; u < H; ++u) {
            reset[static_cast<size_t>(u)] *= sigmoid(clip(xw(1, u) + hr(1, u, h)));
          }
        }
        for (int64_t u = 0; u < H; ++u) {
          const auto i = static_cast<size_t>(u);
          if (gates == 1) {
            next[i] = std::tanh(clip(xw(0, u) + hr(0, u, h)));
          } else if (gates == 3) {
            const double z = sigmoid(clip(xw(0, u) + hr(0, u, h)));
            const double r = sigmoid(clip(xw(1, u) + hr(1, u, h)));
            const double v = c.linear ? r * hr(2, u, h) : hr(2, u, reset);
            next[i] = (1 - z) * std::tanh(clip(xw(2, u) + v)) + z * h[i];
          } else {
            const double in = sigmoid(clip(xw(0, u) + hr(0, u, h) + peep(0, u, cell[i])));
            const double forget = c.input_forget
                                      ? 1 - in
                                      : sigmoid(clip(xw(2, u) + hr(2, u, h) + peep(2, u, cell[i])));
            cell[i] = forget * cell[i] + in * std::tanh(clip(xw(3, u) + hr(3, u, h)));
            next[i] =
                sigmoid(clip(xw(1, u) + hr(1, u, h) + peep(1, u, cell[i]))) * std::tanh(cell[i]);
          }
        }
        h = next;
        const int64_t y = c.batch_first ? (n * c.steps + at) * c.directions + d
                                        : (at * c.directions + d) * c.batch + n;
        for (int64_t u = 0; u < H; ++u) like[0].set_float(y * H + u, h[static_cast<size_t>(u)]);
      }
      for (int64_t u = 0; u < H; ++u) {
        like[1].set_float(state + u, h[static_cast<size_t>(u)]);
        if (gates == 4) like[2].set_float(state + u, cell[static_cast<size_t>(u)]);
      }
    }
  }
  return like;
}

TEST(Recurrent, AgreesWithTheEquations) {
  Random random(21);
  for (int round = 0; round < 60; ++round) {
    const int64_t gates = std::vector<int64_t>{4, 3, 1}[static_cast<size_t>(round % 3)];
    const auto flag = [&] { return random.chance(2); };
    Case c{random.integer(1, 4),
           random.integer(1, 6),
           random.integer(1, 9),
           random.integer(1, 20),
           random.integer(1, 2),
           flag(),
           flag(),
           flag(),
           random.chance(4),
           flag(),
           random.chance(3),
           flag(),
           flag(),
           flag(),
           random.chance(3) ? 0.4f : 0.0f};
    if (c.directions == 2) c.reverse = false;
    if (gates != 4) c.c0 = c.peepholes = c.input_forget = false;
    const int64_t rows = gates * c.hidden;
    const Dims state = c.batch_first ? Dims{c.batch, c.directions, c.hidden}
                                     : Dims{c.directions, c.batch, c.hidden};
    Tensors t;
    t.x = random.floats(c.batch_first ? Dims{c.batch, c.steps, c.input}
                                      : Dims{c.steps, c.batch, c.input});
    t.w = random.floats({c.directions, rows, c.input});
    t.r = random.floats({c.directions, rows, c.hidden});
    t.b = random.floats({c.directions, 2 * rows});
    t.h0 = random.floats(state);
    t.c0 = random.floats(state);
    t.p = random.floats({c.directions, 3 * c.hidden});
    std::vector<int64_t> lengths;
    for (int64_t i = 0; i < c.batch; ++i) lengths.push_back(random.integer(0, c.steps));
    t.lengths = HostTensor::of_ints(DType::kI32, {c.batch}, lengths);
    NodeUnderTest node(gates == 4 ? "LSTM" : gates == 3 ? "GRU" : "RNN", 14, gates == 4 ? 3 : 2);
    node.input(t.x).input(t.w).input(t.r);
    const auto optional = [&](bool there, const HostTensor& tensor) {
      if (there)
        node.input(tensor);
      else
        node.no_input();
    };
    optional(c.bias, t.b);
    optional(c.lengths, t.lengths);
    optional(c.h0, t.h0);
    if (gates == 4) {
      optional(c.c0, t.c0);
      optional(c.peepholes, t.p);
    }
    node.set("hidden_size", c.hidden).set("layout", int64_t{c.batch_first}).set("clip", c.clip);
    node.set("direction", std::string(c.directions == 2 ? "bidirectional"
                                      : c.reverse       ? "reverse"
                                                        : "forward"));
    node.set("linear_before_reset", int64_t{c.linear}).set("input_forget", int64_t{c.input_forget});
    const auto got = node.run_kernel(gates == 4 ? cpu_lstm : gates == 3 ? cpu_gru : cpu_rnn);
    ASSERT_TRUE(got) << got.error().message;
    const auto want = reference(c, t, gates, *got);
    for (size_t i = 0; i < want.size(); ++i) {
      EXPECT_LT(difference((*got)[i], want[i]), 1e-5)
          << gates << " gates, round " << round << ", output " << i;
    }
  }
}

TEST(Recurrent, ReadsActivations) {
  NodeUnderTest node("LSTM", 14, 3);
  Random random(22);
  node.input(random.floats({1, 1, 2}))
      .input(random.floats({2, 12, 2}))
      .input(random.floats({2, 12, 3}));
  node.set("direction", std::string("bidirectional"));
  node.set("activations", std::vector<std::string>{"HardSigmoid", "Tanh", "Affine", "Sigmoid",
                                                   "LeakyRelu", "tanh"});
  node.set("activation_alpha", std::vector<float>{0.3f, 2.0f});
  node.set("activation_beta", std::vector<float>{0.6f});
  ASSERT_TRUE(node.infer());
  const auto s = recurrent_shape(OpContext(node.frame()), lstm_kind());
  ASSERT_TRUE(s) << s.error().message;
  EXPECT_EQ(s->activations[0][0], (ActivationUse{Activation::kHardSigmoid, 0.3f, 0.6f}));
  EXPECT_EQ(s->activations[0][2], (ActivationUse{Activation::kAffine, 2.0f, 0.0f}));
  EXPECT_EQ(s->activations[1][1], (ActivationUse{Activation::kLeakyRelu, 0.01f, 0.0f}));
  EXPECT_EQ(s->activations[1][2].kind, Activation::kTanh);
}

TEST(Recurrent, InfersSymbolicShapes) {
  EXPECT_EQ(inferred("graph g(%x: f32[s, n, 4], %w: f32[1, 12, 4], %r: f32[1, 12, 3]) {\n"
                     "%y, %h, %c = LSTM@14(%x, %w, %r) {hidden_size = 3}\n return %y }"),
            "f32[s, 1, n, 3]; f32[1, n, 3]; f32[1, n, 3]");
  EXPECT_EQ(inferred("graph g(%x: f32[n, s, 4], %w: f32[*], %r: f32[*]) {\n"
                     "%y, %h = GRU@14(%x, %w, %r) {hidden_size = 3, layout = 1, direction = "
                     "\"bidirectional\"}\n return %y }"),
            "f32[n, s, 2, 3]; f32[n, 2, 3]");
}

}  // namespace
}  // namespace quern
