#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/cpu_kernel.h"
#include "ops/common/attention_shape.h"
#include "ops/common/gemm_cpu.h"
#include "ops/common/norm_cpu.h"

namespace quern {
namespace {

using enum attention::Input;

constexpr int64_t kQueries = 32;  // rows of a task
constexpr float kLowest = std::numeric_limits<float>::lowest();

/// The keys that a query may see.
struct Seen {
  int64_t begin = 0, end = 0;
};

Seen seen_keys(const AttentionShape& s, int64_t query, int64_t offset) {
  if (!s.causal) return {0, s.keys};
  const int64_t end = s.reach(query) + offset + 1;
  const int64_t begin = s.window > 0 ? end - s.window : 0;
  Seen keys;
  keys.end = std::clamp<int64_t>(end, 0, s.keys);
  keys.begin = std::clamp<int64_t>(begin, 0, keys.end);
  return keys;
}

/// Scales, caps and masks the scores of one query.
void finish_scores(const AttentionShape& s, Seen keys, const float* mask, const bool* seen,
                   float* scores) {
  for (int64_t j = keys.begin; j < keys.end; ++j) {
    float v = scores[j] * s.scale;
    if (s.softcap != 0) v = s.softcap * std::tanh(v / s.softcap);
    if (mask != nullptr) v += mask[j * s.mask[3]];
    if (seen != nullptr && !seen[j * s.mask[3]]) v = -std::numeric_limits<float>::infinity();
    scores[j] = v;
  }
}

/// Softmax of a row of scores, which also has the score `sink` (none: null).
void weigh(float* scores, int64_t count, const float* sink) {
  const float top = *std::max_element(scores, scores + count);
  softmax_row(scores, scores, count, false);
  if (sink == nullptr) return;
  // The largest weight is 1 over the sum without the sink.
  const float largest = *std::max_element(scores, scores + count);
  const float keep = 1.0f / (1.0f + std::exp(*sink - top) * largest);
  for (int64_t j = 0; j < count; ++j) scores[j] *= keep;
}

void attend(const AttentionShape& s, const CpuContext& ctx, float* y, int64_t task, int64_t blocks,
            float* scratch) {
  const int64_t head = task / blocks % s.heads;
  const int64_t batch = task / blocks / s.heads;
  const int64_t first = task % blocks * kQueries;
  const int64_t rows = std::min(kQueries, s.queries - first);
  const int64_t kv = head / s.group;
  const int64_t offset = s.has_offsets ? ctx.in_as<int32_t>(kOffsets)[batch] : s.causal_offset;
  const float* sink = s.has_sink ? ctx.in_as<float>(kSink) + head : nullptr;
  float* scores = scratch + gemm_scratch_floats();

  CpuGemm product;
  product.m = rows;
  product.n = s.keys;
  product.k = s.head;
  product.a =
      ctx.in_as<float>(kQ) + s.q.start + batch * s.q.batch + head * s.q.head + first * s.q.row;
  product.a_row = s.q.row;
  product.b.data = ctx.in_as<float>(kK) + s.k.start + batch * s.k.batch + kv * s.k.head;
  product.b.row = 1;
  product.b.col = s.k.row;
  product.c = scores;
  product.c_row = s.keys;
  for (int64_t n = 0; n < s.keys; n += kGemmColumns) {
    gemm_block(product, 0, rows, n, std::min(s.keys, n + kGemmColumns), scratch);
  }

  y += batch * s.y.batch + head * s.y.head + first * s.y.row;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = batch * s.mask[0] + head * s.mask[1] + (first + i) * s.mask[2];
    const float* mask = s.has_mask && !s.mask_bool ? ctx.in_as<float>(kMask) + at : nullptr;
    const bool* seen = s.mask_bool ? ctx.in_as<bool>(kMask) + at : nullptr;
    float* row = scores + i * s.keys;
    const Seen keys = seen_keys(s, first + i, offset);
    finish_scores(s, keys, mask, seen, row);
    const bool empty =
        std::all_of(row + keys.begin, row + keys.end, [](float v) { return v < kLowest; });
    if (empty) {
      std::fill(row, row + s.keys, sink != nullptr ? 0.0f : s.empty_row());
    } else {
      weigh(row + keys.begin, keys.end - keys.begin, sink);
      std::fill(row, row + keys.begin, 0.0f);
      std::fill(row + keys.end, row + s.keys, 0.0f);
    }
  }
  product.n = s.head_v;
  product.k = s.keys;
  product.a = scores;
  product.a_row = s.keys;
  product.b.data = ctx.in_as<float>(kV) + s.v.start + batch * s.v.batch + kv * s.v.head;
  product.b.row = s.v.row;
  product.b.col = 1;
  product.c = y;
  product.c_row = s.y.row;
  for (int64_t n = 0; n < s.head_v; n += kGemmColumns) {
    gemm_block(product, 0, rows, n, std::min(s.head_v, n + kGemmColumns), scratch);
  }
  if (s.keys == 0) {
    for (int64_t i = 0; i < rows; ++i) {
      std::fill(y + i * s.y.row, y + i * s.y.row + s.head_v, s.empty_row());
    }
  }
}

Result<void> run(CpuContext& ctx) {
  QUERN_ASSIGN(AttentionShape s, attention_shape(ctx));
  if (ctx.output(0).count() == 0) return {};
  const int64_t blocks = (s.queries + kQueries - 1) / kQueries;
  const int64_t tasks = blocks * s.batch * s.heads;
  const int64_t slots = task_slots(ctx.parallel(), tasks);
  const int64_t each =
      gemm_scratch_floats() + (std::min(kQueries, s.queries) * s.keys + 15) / 16 * 16;
  QUERN_ASSIGN(uint8_t* bytes, ctx.scratch(static_cast<size_t>(slots * each) * sizeof(float)));
  float* scratch = reinterpret_cast<float*>(bytes);
  float* y = ctx.out_as<float>(0);
  run_tasks(ctx.parallel(), tasks, slots, [&](int64_t task, int64_t slot) {
    attend(s, ctx, y, task, blocks, scratch + slot * each);
  });
  return {};
}

}  // namespace

extern const CpuKernel cpu_fused_attention;
const CpuKernel cpu_fused_attention = {.run = run};

}  // namespace quern
