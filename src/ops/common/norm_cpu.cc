#include "ops/common/norm_cpu.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

namespace quern {
namespace {

namespace hn = hwy::HWY_NAMESPACE;
using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D kD;
constexpr int64_t kLanes = static_cast<int64_t>(hn::MaxLanes(kD));
constexpr float kLowest = std::numeric_limits<float>::lowest();

float sum_lanes(V v) { return hn::GetLane(hn::SumOfLanes(kD, v)); }

/// exp of a difference: quick, and NaN where it is.
float exp1(float x) { return std::exp(x); }

/// Rows that lie `inner` apart: kLanes neighbouring ones at once, the rest one by one.
void softmax_strided(const float* x, float* y, int64_t length, int64_t inner, bool log) {
  int64_t c = 0;
  for (; c + kLanes <= inner; c += kLanes) {
    V top = hn::Set(kD, kLowest);
    for (int64_t i = 0; i < length; ++i) top = hn::Max(top, hn::LoadU(kD, x + i * inner + c));
    V sum = hn::Zero(kD);
    for (int64_t i = 0; i < length; ++i) {
      const V e = hn::Exp(kD, hn::Sub(hn::LoadU(kD, x + i * inner + c), top));
      sum = hn::Add(sum, e);
      if (!log) hn::StoreU(e, kD, y + i * inner + c);
    }
    const V shift = log ? hn::Log(kD, sum) : hn::Div(hn::Set(kD, 1.0f), sum);
    for (int64_t i = 0; i < length; ++i) {
      float* at = y + i * inner + c;
      hn::StoreU(log ? hn::Sub(hn::Sub(hn::LoadU(kD, x + i * inner + c), top), shift)
                     : hn::Mul(hn::LoadU(kD, at), shift),
                 kD, at);
    }
  }
  for (; c < inner; ++c) {
    float top = kLowest;
    for (int64_t i = 0; i < length; ++i) top = std::max(top, x[i * inner + c]);
    float sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += exp1(x[i * inner + c] - top);
    for (int64_t i = 0; i < length; ++i) {
      const float v = x[i * inner + c];
      y[i * inner + c] = log ? v - top - std::log(sum) : exp1(v - top) / sum;
    }
  }
}

}  // namespace

void softmax_row(const float* x, float* y, int64_t length, bool log) {
  float top = kLowest;
  int64_t i = 0;
  if (length >= kLanes) {
    V tops = hn::LoadU(kD, x);
    for (i = kLanes; i + kLanes <= length; i += kLanes) tops = hn::Max(tops, hn::LoadU(kD, x + i));
    top = std::max(top, hn::GetLane(hn::MaxOfLanes(kD, tops)));
  }
  for (; i < length; ++i) top = std::max(top, x[i]);
  const V shift = hn::Set(kD, top);
  V sums = hn::Zero(kD);
  for (i = 0; i + kLanes <= length; i += kLanes) {
    const V e = hn::Exp(kD, hn::Sub(hn::LoadU(kD, x + i), shift));
    sums = hn::Add(sums, e);
    if (!log) hn::StoreU(e, kD, y + i);
  }
  float sum = sum_lanes(sums);
  for (; i < length; ++i) {
    const float e = exp1(x[i] - top);
    sum += e;
    if (!log) y[i] = e;
  }
  const float by = log ? std::log(sum) : 1.0f / sum;
  const V bys = hn::Set(kD, by);
  for (i = 0; i + kLanes <= length; i += kLanes) {
    hn::StoreU(log ? hn::Sub(hn::Sub(hn::LoadU(kD, x + i), shift), bys)
                   : hn::Mul(hn::LoadU(kD, y + i), bys),
               kD, y + i);
  }
  for (; i < length; ++i) y[i] = log ? x[i] - top - by : y[i] * by;
}

Result<void> run_softmax(CpuContext& ctx, bool log) {
  if (ctx.input(0).count() == 0) return {};
  bool flatten = false;
  QUERN_ASSIGN(const size_t axis, softmax_axis(ctx, &flatten));
  const Rows rows = rows_along(ctx.input(0).dims, axis, flatten);
  const float* x = ctx.in_as<float>(0);
  float* y = ctx.out_as<float>(0);
  const int64_t block = rows.length * rows.inner;
  ctx.parallel().run(rows.rows / rows.inner, 1 + 4096 / block, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (rows.inner == 1) {
        softmax_row(x + i * block, y + i * block, rows.length, log);
      } else {
        softmax_strided(x + i * block, y + i * block, rows.length, rows.inner, log);
      }
    }
  });
  return {};
}

Result<void> run_norm(CpuContext& ctx, const NormRows& norm) {
  if (norm.rows == 0 || norm.length == 0) return {};
  const float* scale = ctx.has_input(1) ? ctx.in_as<float>(1) : nullptr;
  const float* bias = ctx.has_input(2) ? ctx.in_as<float>(2) : nullptr;
  const auto output = [&](size_t i) -> float* {
    return i < ctx.output_count() && ctx.output(i).present ? ctx.out_as<float>(i) : nullptr;
  };
  float* means = norm.rms ? nullptr : output(1);
  float* inverses = output(norm.rms ? 1 : 2);
  const int64_t n = norm.length;
  ctx.parallel().run(norm.rows, 1 + 4096 / n, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* x = ctx.in_as<float>(0) + row * n;
      float* y = ctx.out_as<float>(0) + row * n;
      float mean = 0;
      int64_t i = 0;
      if (!norm.rms) {
        V sums = hn::Zero(kD);
        for (; i + kLanes <= n; i += kLanes) sums = hn::Add(sums, hn::LoadU(kD, x + i));
        mean = sum_lanes(sums);
        for (; i < n; ++i) mean += x[i];
        mean /= static_cast<float>(n);
      }
      const V means_v = hn::Set(kD, mean);
      V squares = hn::Zero(kD);
      for (i = 0; i + kLanes <= n; i += kLanes) {
        const V d = hn::Sub(hn::LoadU(kD, x + i), means_v);
        squares = hn::MulAdd(d, d, squares);
      }
      float square = sum_lanes(squares);
      for (; i < n; ++i) square += (x[i] - mean) * (x[i] - mean);
      const float inverse = 1.0f / std::sqrt(square / static_cast<float>(n) + norm.epsilon);
      if (means != nullptr) means[row] = mean;
      if (inverses != nullptr) inverses[row] = inverse;
      const int64_t first = row % norm.group_rows * norm.group_step;
      const V inverse_v = hn::Set(kD, inverse);
      // Runs of elements with one scale, or with neighbouring ones.
      const bool each = norm.divisor == 1;
      const int64_t run = each ? n : norm.divisor;
      for (int64_t start = 0; start < n; start += run) {
        const int64_t stop = std::min(n, start + run);
        const int64_t at = first + start / norm.divisor;
        const V scale_1 = hn::Set(kD, scale != nullptr ? scale[at] : 1.0f);
        const V bias_1 = hn::Set(kD, bias != nullptr ? bias[at] : 0.0f);
        for (i = start; i + kLanes <= stop; i += kLanes) {
          const V v = hn::Mul(hn::Sub(hn::LoadU(kD, x + i), means_v), inverse_v);
          const V s = each && scale != nullptr ? hn::LoadU(kD, scale + at + i) : scale_1;
          const V b = each && bias != nullptr ? hn::LoadU(kD, bias + at + i) : bias_1;
          hn::StoreU(hn::MulAdd(v, s, b), kD, y + i);
        }
        for (; i < stop; ++i) {
          const int64_t j = each ? at + i : at;
          y[i] = (x[i] - mean) * inverse * (scale != nullptr ? scale[j] : 1.0f) +
                 (bias != nullptr ? bias[j] : 0.0f);
        }
      }
    }
  });
  return {};
}

}  // namespace quern
