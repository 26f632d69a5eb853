#include "ops/common/attention_merge.h"

#include <algorithm>

#include "ops/common/gemm.h"

namespace quern {
namespace {

constexpr int64_t kWorkgroup = 128;

struct Config {
  int64_t head_v = 0, groups = 1;
  template <class F>
  void fields(F&& f) const {
    f("HEAD_V", head_v);
    f("GROUPS", groups);
  }
};

uint32_t word(int64_t v) { return static_cast<uint32_t>(v); }

int64_t rows_of(const AttentionShape& s) { return s.batch * s.heads * s.queries; }

/// Elements of all slices' sums and ends.
int64_t count_of(const AttentionShape& s, int64_t slices) {
  return rows_of(s) * slices * (s.head_v + 4);
}

}  // namespace

Result<Storage> attention_slices(LowerContext& ctx, const AttentionShape& s, int64_t slices) {
  const int64_t count = count_of(s, slices);
  QUERN_TRY(check_u32(ctx, count));
  return ctx.scratch(static_cast<uint64_t>(count) * 4);
}

KernelCall attention_merge(const LowerContext& ctx, const AttentionShape& s, KernelCall& call,
                           int64_t slices, int64_t groups, Storage part) {
  KernelBinding& y = call.bindings.back();
  const KernelBinding whole = y;
  y.storage = part;
  y.dtype = DType::kF32;
  y.count = static_cast<uint64_t>(count_of(s, slices));
  const int64_t across = std::min(s.head_v / 4, kWorkgroup);
  const int64_t rows = kWorkgroup / (across * groups);
  KernelCall merge;
  merge.kernel = "attention_merge";
  merge.config = config_of(Config{s.head_v, groups});
  merge.bindings = {{"x", part, DType::kF32, y.count}, whole};
  merge.params = {word(rows_of(s)), word(s.heads),  word(s.queries), word(slices),
                  word(s.y.batch),  word(s.y.head), word(s.y.row),   word_of(s.empty_row())};
  merge.workgroups =
      split_workgroups(static_cast<uint64_t>((rows_of(s) + rows - 1) / rows), ctx.target());
  merge.stores_fours = true;
  merge.epilogue_at = call.epilogue_at;
  call.epilogue_at = {};
  return merge;
}

}  // namespace quern
