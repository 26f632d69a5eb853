#include <cmath>
#include <vector>

#include "cpu/cpu_kernel.h"
#include "ops/common/linear_attention.h"

namespace quern {
namespace {

using S = LinearAttentionShape;

/// One head of one batch: its state, row by row, is carried through all positions.
void run_head(CpuContext& ctx, const S& s, int64_t batch, int64_t head) {
  const auto* q = ctx.in_as<float>(S::kQuery);
  const auto* k = ctx.in_as<float>(S::kKey);
  const auto* v = ctx.in_as<float>(S::kValue);
  const int64_t matrix = (batch * s.heads + head) * s.keys * s.values;
  const auto keys = static_cast<size_t>(s.keys);
  const auto values = static_cast<size_t>(s.values);
  std::vector<float> state(keys * values, 0.0f);
  if (ctx.has_input(S::kPast)) {
    const float* past = ctx.in_as<float>(S::kPast) + matrix;
    state.assign(past, past + keys * values);
  }
  std::vector<float> seen(values);
  for (int64_t t = 0; t < s.positions; ++t) {
    const int64_t at = batch * s.positions + t;
    const float* key = k + (at * s.heads + head) * s.keys;
    const float* value = v + (at * s.heads + head) * s.values;
    if (s.decays) {
      const float* decay = ctx.in_as<float>(S::kDecay) + at * s.decay_row + head * s.decay_head;
      for (size_t i = 0; i < keys; ++i) {
        const float factor = std::exp(decay[static_cast<int64_t>(i) * s.decay_key]);
        for (size_t j = 0; j < values; ++j) state[i * values + j] *= factor;
      }
    }
    float beta = 1;
    seen.assign(values, 0.0f);
    if (s.delta) {
      beta = ctx.in_as<float>(S::kBeta)[at * s.beta_row + head * s.beta_head];
      for (size_t i = 0; i < keys; ++i) {
        for (size_t j = 0; j < values; ++j) seen[j] += state[i * values + j] * key[i];
      }
    }
    for (size_t j = 0; j < values; ++j) seen[j] = (value[j] - seen[j]) * beta;  // what is written
    for (size_t i = 0; i < keys; ++i) {
      for (size_t j = 0; j < values; ++j) state[i * values + j] += key[i] * seen[j];
    }
    for (int64_t g = 0; g < s.group; ++g) {
      const int64_t row = (at * s.heads + head) * s.group + g;
      float* y = ctx.out_as<float>(0) + row * s.values;
      for (size_t j = 0; j < values; ++j) y[j] = 0;
      for (size_t i = 0; i < keys; ++i) {
        const float x = q[row * s.keys + static_cast<int64_t>(i)] * s.scale;
        for (size_t j = 0; j < values; ++j) y[j] += state[i * values + j] * x;
      }
    }
  }
  if (ctx.output_count() > 1 && ctx.output(1).present) {
    std::copy(state.begin(), state.end(), ctx.out_as<float>(1) + matrix);
  }
}

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(const S s, linear_attention_shape(ctx));
  ctx.parallel().run(s.batch * s.heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) run_head(ctx, s, i / s.heads, i % s.heads);
  });
  return {};
}

}  // namespace

extern const CpuKernel cpu_linear_attention;
const CpuKernel cpu_linear_attention = {.run = run};

}  // namespace quern
