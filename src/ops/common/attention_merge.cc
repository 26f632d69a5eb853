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

int64_t rows_of(const AttentionShape& s) { return s.batch * s.heads * s.queries; }

/// Elements of all slices' sums and ends.
int64_t count_of(const AttentionShape& s, int64_t slices) {
  return rows_of(s) * slices * (s.head_v + 4);
}

/// The call that follows `call`, which gives `part` instead of the output.
KernelCall merge_after(const LowerContext& ctx, const AttentionShape& s, KernelCall& call,
                       int64_t slices, bool few_rows, Storage part) {
  KernelBinding& y = call.bindings.back();
  const KernelBinding whole = y;
  y.storage = part;
  y.dtype = DType::kF32;
  y.count = static_cast<uint64_t>(count_of(s, slices));
  const int64_t groups_of_row = kWorkgroup / std::min(s.head_v / 4, kWorkgroup);
  const int64_t groups = few_rows ? groups_of_row : 1;
  const int64_t rows = groups_of_row / groups;
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

}  // namespace

Result<void> dispatch_attention(LowerContext& ctx, const AttentionShape& s, KernelCall call,
                                int64_t slices, bool few_rows) {
  if (slices == 1) return ctx.dispatch(std::move(call));
  const int64_t count = count_of(s, slices);
  QUERN_TRY(check_u32(ctx, count));
  QUERN_ASSIGN(const Storage part, ctx.scratch(static_cast<uint64_t>(count) * 4));
  KernelCall merge = merge_after(ctx, s, call, slices, few_rows, part);
  QUERN_TRY(ctx.dispatch(std::move(call)));
  return ctx.dispatch(std::move(merge));
}

Result<void> prepare_sliced_attention(LowerContext& ctx, const AttentionShape& s,
                                      std::vector<KernelCall> calls, bool few_rows) {
  if (calls.empty()) return {};
  QUERN_ASSIGN(const Storage part, ctx.scratch(kBindingAlignment));
  KernelCall merge;
  for (KernelCall& call : calls) {
    merge = merge_after(ctx, s, call, 2, few_rows, part);
    QUERN_TRY(ctx.prepare(std::move(call)));
  }
  return ctx.prepare(std::move(merge));
}

}  // namespace quern
