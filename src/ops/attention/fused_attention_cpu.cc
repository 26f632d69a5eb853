#include <algorithm>
#include <cmath>
#include <limits>

#include "cpu/cpu_kernel.h"
#include "ops/common/attention_shape.h"
#include "ops/common/gemm_cpu.h"
#include "ops/common/norm_cpu.h"

namespace quern {
namespace {

constexpr int64_t kQueries = 32;  // rows of a task
constexpr float kLowest = std::numeric_limits<float>::lowest();

/// Scales, caps and masks the scores of one query; gives the keys that it may see.
int64_t finish_scores(const AttentionShape& s, int64_t query, const float* mask, const bool* seen,
                      float* scores) {
  const int64_t end =
      s.causal ? std::clamp<int64_t>(query + s.causal_offset + 1, 0, s.keys) : s.keys;
  for (int64_t j = 0; j < end; ++j) {
    float v = scores[j] * s.scale;
    if (s.softcap != 0) v = s.softcap * std::tanh(v / s.softcap);
    if (mask != nullptr) v += mask[j * s.mask[3]];
    if (seen != nullptr && !seen[j * s.mask[3]]) v = -std::numeric_limits<float>::infinity();
    scores[j] = v;
  }
  return end;
}

void attend(const AttentionShape& s, const CpuContext& ctx, float* y, int64_t task, int64_t blocks,
            float* scratch) {
  const int64_t head = task / blocks % s.heads;
  const int64_t batch = task / blocks / s.heads;
  const int64_t first = task % blocks * kQueries;
  const int64_t rows = std::min(kQueries, s.queries - first);
  const int64_t plane = batch * s.heads + head;
  const int64_t kv = batch * (s.heads / s.group) + head / s.group;
  float* scores = scratch + gemm_scratch_floats();

  CpuGemm product;
  product.m = rows;
  product.n = s.keys;
  product.k = s.head;
  product.a = ctx.in_as<float>(0) + (plane * s.queries + first) * s.head;
  product.a_row = s.head;
  product.b.data = ctx.in_as<float>(1) + kv * s.keys * s.head;
  product.b.row = 1;
  product.b.col = s.head;
  product.c = scores;
  product.c_row = s.keys;
  for (int64_t n = 0; n < s.keys; n += kGemmColumns) {
    gemm_block(product, 0, rows, n, std::min(s.keys, n + kGemmColumns), scratch);
  }

  y += (plane * s.queries + first) * s.head_v;
  for (int64_t i = 0; i < rows; ++i) {
    const int64_t at = batch * s.mask[0] + head * s.mask[1] + (first + i) * s.mask[2];
    const float* mask = s.has_mask && !s.mask_bool ? ctx.in_as<float>(3) + at : nullptr;
    const bool* seen = s.mask_bool ? ctx.in_as<bool>(3) + at : nullptr;
    float* row = scores + i * s.keys;
    const int64_t end = finish_scores(s, first + i, mask, seen, row);
    const bool empty = std::all_of(row, row + end, [](float v) { return v < kLowest; });
    if (empty) {
      std::fill(row, row + s.keys, s.empty_row());
    } else {
      softmax_row(row, row, end, false);
      std::fill(row + end, row + s.keys, 0.0f);
    }
  }
  product.n = s.head_v;
  product.k = s.keys;
  product.a = scores;
  product.a_row = s.keys;
  product.b.data = ctx.in_as<float>(2) + kv * s.keys * s.head_v;
  product.b.row = s.head_v;
  product.b.col = 1;
  product.c = y;
  product.c_row = s.head_v;
  for (int64_t n = 0; n < s.head_v; n += kGemmColumns) {
    gemm_block(product, 0, rows, n, std::min(s.head_v, n + kGemmColumns), scratch);
  }
  if (s.keys == 0) std::fill(y, y + rows * s.head_v, s.empty_row());
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
