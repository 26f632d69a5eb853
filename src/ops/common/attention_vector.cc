#include "ops/common/attention_vector.h"

#include <algorithm>

#include "ops/common/attention_merge.h"
#include "ops/common/forms.h"
#include "ops/common/gemm.h"

namespace quern {
namespace {

struct Config {
  int64_t head = 0, head_v = 0, wg = 0, parts = 0;
  AttentionExtras extras;
  bool sliced = false;
  template <class F>
  void fields(F&& f) const {
    f("HEAD", head);
    f("HEAD_V", head_v);
    f("WG", wg);
    f("PARTS", parts);
    extras.fields(f);
    f("SLICED", uint32_t{sliced});
  }
};

/// Invocations of a workgroup, those that share a key, and slices of the keys.
struct Form {
  int64_t wg = 128, parts = 2, slices = 1;
  bool operator==(const Form&) const = default;
};

/// No slice is to have fewer keys: it would cost more to merge.
constexpr int64_t kFewestKeys = 64;

int64_t slices_for(const LowerContext& ctx, const AttentionShape& s, int64_t per_core) {
  const int64_t groups = s.batch * s.heads;
  const int64_t wanted = (per_core * ctx.target().cores + groups - 1) / groups;
  return std::max<int64_t>(std::min(wanted, (s.keys + kFewestKeys - 1) / kFewestKeys), 1);
}

std::string name_of(const Form& f) { return cat(f.wg, "/", f.parts, " in ", f.slices); }

/// By the table.
Form usual_form(const LowerContext& ctx, const AttentionShape& s) {
  // On a CPU invocations take turns, and gain nothing by neighbours' loads either.
  if (ctx.target().emulated) return {32, 1, 1};
  Form form;
  form.slices = slices_for(ctx, s, 8);
  while (form.parts > s.head / 4) form.parts /= 2;
  return form;
}

/// Or what a tuner found.
Form form_for(LowerContext& ctx, const AttentionShape& s) {
  const Form usual = usual_form(ctx, s);
  if (!ctx.is_tuned()) return usual;
  std::vector<Form> forms = {usual};
  for (const int64_t wg : {64, 128, 256}) {
    if (wg > ctx.target().max_invocations) continue;
    for (const int64_t parts : {2, 4, 8, 16}) {
      if (parts > s.head / 4) continue;
      for (const int64_t per_core : {1, 2, 4, 8, 16}) {
        add_new(forms, {wg, parts, slices_for(ctx, s, per_core)});
      }
    }
  }
  const std::string problem =
      cat("attention_vector ", s.batch, "x", s.heads, "/", s.group, " ", s.keys, " ", s.head, ":",
          s.head_v, " ", quern::name_of(ctx.input(attention::kK).dtype));
  return pick(ctx, problem, forms, [](const Form& form) { return name_of(form); });
}

Config config_for(const AttentionShape& s, const Form& form) {
  Config config;
  config.head = s.head;
  config.head_v = s.head_v;
  config.wg = form.wg;
  config.parts = form.parts;
  config.sliced = form.slices > 1;
  config.extras = AttentionExtras(s);
  return config;
}

KernelCall call_of(const LowerContext& ctx, const AttentionShape& s, KernelCall call,
                   const Form& form) {
  call.kernel = "attention_vector";
  call.config = config_of(config_for(s, form));
  call.params[attention::kBlocksParam] = word(form.slices);
  call.params.push_back(word((s.keys + form.slices - 1) / form.slices));
  call.workgroups =
      split_workgroups(static_cast<uint64_t>(form.slices * s.batch * s.heads), ctx.target());
  call.stores_fours = true;
  return call;
}

/// Makes the programs with and without slices.
Result<void> prepare(LowerContext& ctx, const AttentionShape& s, const KernelCall& call,
                     Form form) {
  form.slices = 1;
  QUERN_TRY(ctx.prepare(call_of(ctx, s, call, form)));
  if (ctx.target().emulated) return {};
  form.slices = 2;
  return prepare_sliced_attention(ctx, s, {call_of(ctx, s, call, form)}, true);
}

}  // namespace

Result<void> dispatch_attention_vector(LowerContext& ctx, const AttentionShape& s, KernelCall call,
                                       bool varies) {
  const Form form = form_for(ctx, s);
  if (varies) QUERN_TRY(prepare(ctx, s, call, form));
  return dispatch_attention(ctx, s, call_of(ctx, s, std::move(call), form), form.slices, true);
}

Result<void> prepare_attention_vector(LowerContext& ctx, const AttentionShape& s,
                                      const KernelCall& call) {
  return prepare(ctx, s, call, usual_form(ctx, s));
}

}  // namespace quern
