#include "ops/common/attention_tiles.h"

#include <algorithm>

#include "ops/common/attention_merge.h"
#include "ops/common/forms.h"
#include "ops/common/gemm.h"

namespace quern {
namespace {

/// Where workgroups are few keys are sliced, so that each core has so many.
constexpr int64_t kPerCore = 8;
/// No slice is to have fewer keys: it would cost more to merge.
constexpr int64_t kFewestKeys = 256;

/// attention_tiles.wgsl.
struct Config {
  int64_t head = 0, head_v = 0;
  AttentionTiles form;
  int64_t subgroup = 0;
  bool half = false, apart = true;
  AttentionExtras extras;
  template <class F>
  void fields(F&& f) const {
    f("HEAD", head);
    f("HEAD_V", head_v);
    f("BQ", form.bq);
    f("BK", form.bk);
    f("ROWS", form.rows);
    f("LANES", form.lanes);
    f("SLICED", form.slices > 1);
    f("HALF", uint32_t{half});
    if (half) f("KEPT_F32", uint32_t{form.wide});
    f("SUBGROUP", subgroup);
    f("APART", apart);
    extras.fields(f);
  }
  /// Bytes of workgroup memory.
  [[nodiscard]] int64_t storage() const {
    const int64_t four = half ? 8 : 16;
    const int64_t kept = form.wide ? 16 : four;
    const int64_t pitch = std::max(head, head_v) / 4 + 1;
    return form.bq * (head / 4 + 1) * four + (apart ? 2 : 1) * form.bk * pitch * kept +
           form.bq * (form.bk / 4 + 1) * 16 + form.bq * (subgroup > 0 ? 1 : form.lanes) * 4 + 16;
  }
};

Config config_for(const LowerContext& ctx, const AttentionShape& s, const AttentionTiles& form) {
  const Target& target = ctx.target();
  Config config;
  config.head = s.head;
  config.head_v = s.head_v;
  config.form = form;
  config.half = true;
  for (const size_t i : {attention::kQ, attention::kK, attention::kV}) {
    config.half = config.half && ctx.input(i).dtype == DType::kF16;
  }
  if (target.subgroups && int64_t{target.subgroup_min} >= form.lanes) config.subgroup = form.lanes;
  config.extras = AttentionExtras(s);
  config.apart = config.storage() <= int64_t{target.max_workgroup_storage};
  return config;
}

int64_t workgroups(const AttentionShape& s, const AttentionTiles& form) {
  return (s.queries + form.bq - 1) / form.bq * s.batch * s.heads;
}

/// With as many slices as give each core `per_core` workgroups, of `fewest` keys at least.
AttentionTiles sliced(const LowerContext& ctx, const AttentionShape& s, AttentionTiles form,
                      int64_t per_core, int64_t fewest) {
  const int64_t count = workgroups(s, form);
  const int64_t wanted = (per_core * ctx.target().cores + count - 1) / count;
  form.slices = std::max<int64_t>(std::min(wanted, s.keys / fewest), 1);
  return form;
}

/// The form, where attention by tiles pays off and has room for it.
std::optional<AttentionTiles> if_fits(const LowerContext& ctx, const AttentionShape& s,
                                      const AttentionTiles& form) {
  // On a CPU tiles save nothing that would be worth compiling them.
  const bool fits =
      s.head_v <= 256 && !ctx.target().emulated &&
      config_for(ctx, s, form).storage() <= int64_t{ctx.target().max_workgroup_storage} &&
      form.bq / form.rows * form.lanes <= int64_t{ctx.target().max_invocations};
  return fits ? std::optional(form) : std::nullopt;
}

std::optional<AttentionTiles> small_tiles(const LowerContext& ctx, const AttentionShape& s) {
  return if_fits(ctx, s, {});
}

std::optional<AttentionTiles> large_tiles(const LowerContext& ctx, const AttentionShape& s) {
  const AttentionTiles wide{.bq = 64, .bk = 64, .rows = 4, .lanes = 16, .wide = true};
  if (config_for(ctx, s, wide).half && if_fits(ctx, s, wide)) return wide;
  return if_fits(ctx, s, {.bq = 32, .bk = 64, .rows = 2, .lanes = 16});
}

KernelCall call_of(const LowerContext& ctx, const AttentionShape& s, KernelCall call,
                   const AttentionTiles& form) {
  call.kernel = "attention_tiles";
  call.config = config_of(config_for(ctx, s, form));
  call.params[attention::kBlocksParam] = word((s.queries + form.bq - 1) / form.bq);
  call.params.push_back(word(form.slices));
  call.workgroups =
      split_workgroups(static_cast<uint64_t>(form.slices * workgroups(s, form)), ctx.target());
  call.stores_fours = true;
  return call;
}

}  // namespace

std::string name_of(const AttentionTiles& f) {
  std::string name = cat("attention_tiles ", f.bq, "x", f.bk, " by ", f.rows, "x", f.lanes);
  if (f.wide) name += " wide";
  if (f.slices > 1) name += cat(" in ", f.slices);
  return name;
}

std::optional<AttentionTiles> suited_attention_tiles(const LowerContext& ctx,
                                                     const AttentionShape& s) {
  const int64_t cores = ctx.target().cores;
  if (const auto large = large_tiles(ctx, s)) {
    const int64_t count = workgroups(s, *large);
    if (2 * count >= 5 * cores) return large;
    if (2 * count >= cores) return sliced(ctx, s, *large, kPerCore, kFewestKeys);
  }
  const auto small = small_tiles(ctx, s);
  if (!small || s.queries < small->bq) return std::nullopt;
  return sliced(ctx, s, *small, kPerCore, kFewestKeys);
}

std::vector<AttentionTiles> attention_tiles_forms(const LowerContext& ctx,
                                                  const AttentionShape& s) {
  constexpr AttentionTiles kForms[] = {
      {16, 32, 1, 8}, {32, 32, 2, 8}, {32, 32, 4, 8},  {32, 64, 2, 16}, {32, 64, 4, 16},
      {64, 32, 4, 8}, {64, 32, 8, 8}, {64, 64, 4, 16}, {64, 64, 8, 8},  {128, 32, 8, 8},
  };
  std::vector<AttentionTiles> forms;
  const bool half = config_for(ctx, s, {}).half;
  for (AttentionTiles form : kForms) {
    for (const bool wide : {false, true}) {
      form.wide = wide;
      if ((wide && !half) || !if_fits(ctx, s, form)) continue;
      for (const int64_t per_core : {0, 2, 4, 8}) {
        add_new(forms, sliced(ctx, s, form, per_core, 2 * form.bk));
      }
    }
  }
  return forms;
}

Result<void> dispatch_attention_tiles(LowerContext& ctx, const AttentionShape& s, KernelCall call,
                                      const AttentionTiles& form) {
  return dispatch_attention(ctx, s, call_of(ctx, s, std::move(call), form), form.slices, false);
}

Result<void> prepare_attention_tiles(LowerContext& ctx, const AttentionShape& s,
                                     const KernelCall& call) {
  std::vector<KernelCall> in_slices;
  for (auto form : {small_tiles(ctx, s), large_tiles(ctx, s)}) {
    if (!form) continue;
    QUERN_TRY(ctx.prepare(call_of(ctx, s, call, *form)));
    form->slices = 2;
    in_slices.push_back(call_of(ctx, s, call, *form));
  }
  return prepare_sliced_attention(ctx, s, std::move(in_slices), false);
}

}  // namespace quern
