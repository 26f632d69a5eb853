#include "ops/common/recurrent_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "ops/common/gemm_cpu.h"

namespace quern {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D kD;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(kD));

float activate1(const ActivationUse& use, float x) {
  switch (use.kind) {
    case Activation::kSigmoid:
      return 1.0f / (1.0f + std::exp(-x));
    case Activation::kTanh:
      return std::tanh(x);
    case Activation::kRelu:
      return std::max(x, 0.0f);
    case Activation::kAffine:
      return use.alpha * x + use.beta;
    case Activation::kLeakyRelu:
      return x >= 0 ? x : use.alpha * x;
    case Activation::kThresholdedRelu:
      return x > use.alpha ? x : 0.0f;
    case Activation::kScaledTanh:
      return use.alpha * std::tanh(use.beta * x);
    case Activation::kHardSigmoid:
      return std::clamp(use.alpha * x + use.beta, 0.0f, 1.0f);
    case Activation::kElu:
      return x >= 0 ? x : use.alpha * (std::exp(x) - 1.0f);
    case Activation::kSoftsign:
      return x / (1.0f + std::abs(x));
    case Activation::kSoftplus:
      return std::max(x, 0.0f) + std::log1p(std::exp(-std::abs(x)));
  }
  return x;
}

/// Clips, then activates `n` values in place.
void activate(const ActivationUse& use, float clip, float* x, int64_t n) {
  if (clip > 0) {
    for (int64_t i = 0; i < n; ++i) x[i] = std::clamp(x[i], -clip, clip);
  }
  int64_t i = 0;
  if (use.kind == Activation::kSigmoid) {
    const V one = hn::Set(kD, 1.0f);
    for (; i + kLanes <= n; i += kLanes) {
      // Exp is undefined past 104.
      const V e = hn::Exp(kD, hn::Neg(hn::Max(hn::LoadU(kD, x + i), hn::Set(kD, -88.0f))));
      hn::StoreU(hn::Div(one, hn::Add(one, e)), kD, x + i);
    }
  } else if (use.kind == Activation::kTanh) {
    for (; i + kLanes <= n; i += kLanes) {
      hn::StoreU(hn::Tanh(kD, hn::LoadU(kD, x + i)), kD, x + i);
    }
  }
  for (; i < n; ++i) x[i] = activate1(use, x[i]);
}

void add(float* to, const float* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] += from[i];
}

/// One direction of one layer: its inputs, and memory for one step of one batch entry.
struct Layer {
  const RecurrentShape& s;
  const RecurrentKind& kind;
  const std::vector<ActivationUse>& acts;
  const float* gx;         ///< x W of a row: kind.gates * hidden values
  const float* bias;       ///< of W, then of R; or null
  const float* peepholes;  ///< or null
  float* gates;            ///< h R
  float* spare;            ///< hidden values

  void lstm(float* h, float* c) const {
    const int64_t n = s.hidden;
    float* i = gates;
    float* o = gates + n;
    float* f = gates + 2 * n;
    float* g = gates + 3 * n;
    add(gates, gx, 4 * n);
    if (bias != nullptr) {
      add(gates, bias, 4 * n);
      add(gates, bias + 4 * n, 4 * n);
    }
    if (peepholes != nullptr) {
      for (int64_t u = 0; u < n; ++u) i[u] += peepholes[u] * c[u];
      for (int64_t u = 0; u < n; ++u) f[u] += peepholes[2 * n + u] * c[u];
    }
    activate(acts[0], s.clip, i, n);
    activate(acts[1], s.clip, g, n);
    if (s.input_forget) {
      for (int64_t u = 0; u < n; ++u) f[u] = 1.0f - i[u];
    } else {
      activate(acts[0], s.clip, f, n);
    }
    for (int64_t u = 0; u < n; ++u) c[u] = f[u] * c[u] + i[u] * g[u];
    if (peepholes != nullptr) {
      for (int64_t u = 0; u < n; ++u) o[u] += peepholes[n + u] * c[u];
    }
    activate(acts[0], s.clip, o, n);
    std::memcpy(g, c, static_cast<size_t>(n) * sizeof(float));
    activate(acts[2], 0, g, n);
    for (int64_t u = 0; u < n; ++u) h[u] = o[u] * g[u];
  }

  /// `product(out, in)`: out = in times the rows of R for the new state.
  template <class Product>
  void gru(float* h, const Product& product) const {
    const int64_t n = s.hidden;
    float* z = gates;
    float* r = gates + n;
    float* t = gates + 2 * n;
    add(z, gx, 2 * n);
    if (bias != nullptr) {
      add(z, bias, 2 * n);
      add(z, bias + 3 * n, 2 * n);
    }
    activate(acts[0], s.clip, z, 2 * n);
    const float* rb = bias != nullptr ? bias + 5 * n : nullptr;
    if (s.linear_before_reset) {
      for (int64_t u = 0; u < n; ++u) t[u] = r[u] * (t[u] + (rb != nullptr ? rb[u] : 0.0f));
    } else {
      for (int64_t u = 0; u < n; ++u) spare[u] = r[u] * h[u];
      product(t, spare);
      if (rb != nullptr) add(t, rb, n);
    }
    add(t, gx + 2 * n, n);
    if (bias != nullptr) add(t, bias + 2 * n, n);
    activate(acts[1], s.clip, t, n);
    for (int64_t u = 0; u < n; ++u) h[u] = (1.0f - z[u]) * t[u] + z[u] * h[u];
  }

  void rnn(float* h) const {
    const int64_t n = s.hidden;
    add(gates, gx, n);
    if (bias != nullptr) {
      add(gates, bias, n);
      add(gates, bias + n, n);
    }
    activate(acts[0], s.clip, gates, n);
    std::memcpy(h, gates, static_cast<size_t>(n) * sizeof(float));
  }
};

/// c = a times the rows of r, on this thread.
void product_rows(const float* a, int64_t rows, const float* r, int64_t columns, int64_t depth,
                  float* c, int64_t c_row, float* scratch) {
  CpuGemm g;
  g.m = rows;
  g.n = columns;
  g.k = depth;
  g.a = a;
  g.a_row = depth;
  g.b.data = r;
  g.b.row = 1;
  g.b.col = depth;
  g.c = c;
  g.c_row = c_row;
  for (int64_t n = 0; n < columns; n += kGemmColumns) {
    gemm_block(g, 0, rows, n, std::min(columns, n + kGemmColumns), scratch);
  }
}

}  // namespace

Result<void> run_recurrent(CpuContext& ctx, const RecurrentKind& kind) {
  QUERN_ASSIGN(RecurrentShape s, recurrent_shape(ctx, kind));
  const int64_t n = s.hidden;
  const int64_t rows = kind.gates * n;
  const int64_t gx_count = s.steps * s.batch * rows;
  const int64_t own = s.batch * (2 * n + rows) + n + gemm_scratch_floats();  // of a direction
  if (s.batch == 0) return {};
  QUERN_ASSIGN(uint8_t* bytes,
               ctx.scratch(static_cast<size_t>(s.directions * (gx_count + own)) * sizeof(float)));
  float* gx = reinterpret_cast<float*>(bytes);
  float* memory = gx + s.directions * gx_count;
  const auto input = [&](size_t i) { return ctx.has_input(i) ? ctx.in_as<float>(i) : nullptr; };
  const auto output = [&](size_t i) {
    return i < ctx.output_count() && ctx.output(i).present ? ctx.out_as<float>(i) : nullptr;
  };
  for (int64_t d = 0; d < s.directions; ++d) {
    CpuGemm g;
    g.m = s.steps * s.batch;
    g.n = rows;
    g.k = s.input;
    g.a = ctx.in_as<float>(0);
    g.a_row = s.input;
    g.b.data = ctx.in_as<float>(1) + d * rows * s.input;
    g.b.row = 1;
    g.b.col = s.input;
    g.c = gx + d * gx_count;
    g.c_row = rows;
    QUERN_TRY(run_gemm(ctx, g));
  }
  const int32_t* lengths = ctx.has_input(4) ? ctx.in_as<int32_t>(4) : nullptr;
  float* y = output(0);
  if (y != nullptr) std::fill(y, y + s.steps * s.directions * s.batch * n, 0.0f);

  ctx.parallel().run(s.directions, 1, [&](int64_t begin, int64_t end) {
    for (int64_t d = begin; d < end; ++d) {
      float* h = memory + d * own;
      float* c = h + s.batch * n;
      float* gates = c + s.batch * n;
      float* spare = gates + s.batch * rows;
      float* scratch = spare + n;
      const float* r = ctx.in_as<float>(2) + d * rows * n;
      const auto state_row = [&](int64_t b) {
        return (d * s.state_direction() + b * s.state_batch()) * n;
      };
      const auto take = [&](float* to, const float* from) {
        for (int64_t b = 0; b < s.batch; ++b) {
          for (int64_t u = 0; u < n; ++u) {
            to[b * n + u] = from != nullptr ? from[state_row(b) + u] : 0.0f;
          }
        }
      };
      take(h, input(5));
      take(c, kind.has_cell ? input(6) : nullptr);
      const bool reverse = s.reverse || d == 1;
      const bool late_product = kind.gates == 3 && !s.linear_before_reset;
      for (int64_t step = 0; step < s.steps; ++step) {
        product_rows(h, s.batch, r, late_product ? 2 * n : rows, n, gates, rows, scratch);
        for (int64_t b = 0; b < s.batch; ++b) {
          const int64_t length =
              lengths != nullptr ? std::clamp<int64_t>(lengths[b], 0, s.steps) : s.steps;
          if (step >= length) continue;
          const int64_t t = reverse ? length - 1 - step : step;
          const float* bias = input(3);
          const Layer layer{s,
                            kind,
                            s.activations[static_cast<size_t>(d)],
                            gx + d * gx_count + (t * s.x_step() + b * s.x_batch()) * rows,
                            bias != nullptr ? bias + d * 2 * rows : nullptr,
                            kind.has_cell && input(7) != nullptr ? input(7) + d * 3 * n : nullptr,
                            gates + b * rows,
                            spare};
          if (kind.gates == 4) {
            layer.lstm(h + b * n, c + b * n);
          } else if (kind.gates == 3) {
            layer.gru(h + b * n, [&](float* to, const float* from) {
              product_rows(from, 1, r + 2 * n * n, n, n, to, n, scratch);
            });
          } else {
            layer.rnn(h + b * n);
          }
          if (y == nullptr) continue;
          const int64_t row = d * s.y_direction() + t * s.y_step() + b * s.y_batch();
          std::memcpy(y + row * n, h + b * n, static_cast<size_t>(n) * sizeof(float));
        }
      }
      const auto give = [&](float* to, const float* from) {
        for (int64_t b = 0; to != nullptr && b < s.batch; ++b) {
          std::memcpy(to + state_row(b), from + b * n, static_cast<size_t>(n) * sizeof(float));
        }
      };
      give(output(1), h);
      if (kind.has_cell) give(output(2), c);
    }
  });
  return {};
}

}  // namespace quern
