// quern.Attention: softmax(q k^T * scale + mask) v, made by the recogniser pass and by expansions.
// Inputs: q [B, H, Sq, D], k [B, Hkv, Sk, D], v [B, Hkv, Sk, Dv]; then optional: a mask (bool: true
// is seen; float: added) that broadcasts to [B, H, Sq, Sk]; offsets, i32 [B], which query i of its
// batch sees beyond key i; sinks [H], scores of a key without value. Attributes: scale (default
// 1 / sqrt(D)); softcap (0: none), applied before the mask; is_causal (1: query i sees keys up to
// i, plus its offset; 2: the last query sees all keys; 3: all queries see up to Sq - 1 plus the
// offset); window (0: none): only that many keys, the last ones of those, are seen; nan_to_zero (a
// row without keys gives 0); rows_first (bits: q, k, v, y are [B, S, H, D]); where the operands
// lie in one tensor, heads, kv_heads, head_starts and head_steps (see PackedHeads).
#include <algorithm>
#include <limits>
#include <tuple>
#include <variant>

#include "ops/common/attention_shape.h"
#include "ops/common/attention_tiles.h"
#include "ops/common/attention_vector.h"
#include "ops/common/forms.h"
#include "ops/common/gemm.h"
#include "ops/op_def.h"

namespace quern {
namespace {

using enum attention::Input;

constexpr AttributeField kAttributes[] = {
    {"scale", AttributeKind::kFloat},      {"softcap", AttributeKind::kFloat},
    {"is_causal", AttributeKind::kInt},    {"nan_to_zero", AttributeKind::kInt},
    {"window", AttributeKind::kInt},       {"rows_first", AttributeKind::kInt},
    {"heads", AttributeKind::kInt},        {"kv_heads", AttributeKind::kInt},
    {"head_starts", AttributeKind::kInts}, {"head_steps", AttributeKind::kInts},
};

Result<void> infer(InferContext& ctx) {
  for (size_t i = 0; i < 3; ++i) QUERN_TRY(ctx.expect_rank(i, 4));
  const Shape* q = ctx.shape(0);
  const Shape* v = ctx.shape(2);
  if (q == nullptr || v == nullptr) {
    ctx.set(0, ctx.dtype(0), std::nullopt);
    return {};
  }
  const int64_t rows_first = ctx.node().int_or("rows_first", 0);
  Dim heads = (*q)[1];
  Dim rows = (*q)[2];
  if ((rows_first & attention::kQRows) != 0) std::swap(heads, rows);
  if (const PackedHeads p = packed_heads(ctx.node(), kQ); p.packed) heads = p.heads;
  const bool y_rows = (rows_first & attention::kYRows) != 0;
  ctx.set(0, ctx.dtype(0),
          y_rows ? Shape{(*q)[0], rows, heads, (*v)[3]} : Shape{(*q)[0], heads, rows, (*v)[3]});
  return {};
}

/// The generic form: three sums over the keys for each element.
Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(AttentionShape s, attention_shape(ctx));
  const int64_t rows_first = ctx.node().int_or("rows_first", 0);
  const bool y_rows = (rows_first & attention::kYRows) != 0;
  const Expr batch = ctx.index(0);
  const Expr head = ctx.index(y_rows ? 2 : 1);
  const Expr query = ctx.index(y_rows ? 1 : 2);
  const auto axis = [&](attention::Layout bit, bool of_heads) -> size_t {
    return of_heads == ((rows_first & bit) != 0) ? 2 : 1;
  };
  const bool baked_group = ctx.input(kQ).is_baked(axis(attention::kQRows, true)) &&
                           ctx.input(kK).is_baked(axis(attention::kKRows, true));
  const Expr kv_head = b.div(head, ctx.derived(s.group, baked_group));
  const auto load_at = [&](size_t input, attention::Layout bit, Expr h, Expr row, Expr d) {
    const bool rows = (rows_first & bit) != 0;
    const PackedHeads packed = packed_heads(ctx.node(), input);
    if (packed.packed) h = b.add(b.mul(h, b.i32(packed.step)), b.i32(packed.start));
    const Expr at[] = {batch, rows ? row : h, rows ? h : row, d};
    return ctx.load(input, at);
  };
  // The last key that this query sees.
  Expr limit = b.i32(0);
  if (s.causal) {
    limit = s.last_sees_all ? b.sub(ctx.dim(kQ, axis(attention::kQRows, false)), b.i32(1)) : query;
    if (s.has_offsets) {
      const Expr at[] = {batch};
      QUERN_ASSIGN(Expr offset, ctx.load(kOffsets, at));
      limit = b.add(limit, b.cast(offset, Scalar::kI32));
    } else {
      const bool fixed = ctx.node().int_or("is_causal", 0) != 2;
      limit = b.add(limit, ctx.derived(s.causal_offset, fixed));
    }
  }
  struct Score {
    Expr value, live;
  };
  const auto score = [&](Expr key) -> Result<Score> {
    const Expr d = b.loop();
    QUERN_ASSIGN(Expr q, load_at(kQ, attention::kQRows, head, query, d));
    QUERN_ASSIGN(Expr k, load_at(kK, attention::kKRows, kv_head, key, d));
    Expr value = b.reduce(ExprOp::kReduceSum, d, ctx.dim(0, 3), b.mul(q, k));
    const Expr scale = ctx.derived_float(s.scale, ctx.input(0).is_baked(3));
    value = b.mul(value, b.cast(scale, b.type_of(value)));
    if (s.softcap != 0) {
      const Expr cap = b.number(value, s.softcap);
      value = b.mul(cap, b.unary(ExprOp::kTanh, b.div(value, cap)));
    }
    Expr live = b.boolean(true);
    if (s.causal) {
      live = b.binary(ExprOp::kLe, key, limit);
      if (s.window > 0) {
        live = b.logical_and(live, b.lt(b.sub(limit, b.i32(s.window)), key));
      }
    }
    if (s.has_mask) {
      const size_t rank = ctx.input(kMask).rank();
      const Expr full[] = {batch, head, query, key};
      std::vector<Expr> at;
      for (size_t i = 0; i < rank; ++i) {
        at.push_back(b.min(full[4 - rank + i], b.sub(ctx.dim(kMask, i), b.i32(1))));
      }
      QUERN_ASSIGN(Expr m, ctx.load(kMask, at));
      if (s.mask_bool) {
        live = b.logical_and(live, m);
      } else {
        value = b.add(value, b.cast(m, b.type_of(value)));
      }
    }
    return Score{value, live};
  };
  const Expr keys = ctx.dim(kK, axis(attention::kKRows, false));
  const Expr i = b.loop();
  QUERN_ASSIGN(Score one, score(i));
  // A parameter, since the shortest decimal of the lowest f32 is no valid WGSL literal.
  const Expr lowest =
      b.cast(ctx.derived_float(std::numeric_limits<float>::lowest(), false), b.type_of(one.value));
  Expr top =
      b.max(lowest, b.reduce(ExprOp::kReduceMax, i, keys, b.select(one.live, one.value, lowest)));
  Expr sink = lowest;
  if (s.has_sink) {
    const Expr at[] = {head};
    QUERN_ASSIGN(sink, ctx.load(kSink, at));
    sink = b.cast(sink, b.type_of(top));
    top = b.max(top, sink);
  }
  const auto weight = [&](const Score& at) {
    return b.select(at.live, b.unary(ExprOp::kExp, b.sub(at.value, top)), b.number(at.value, 0));
  };
  const Expr j = b.loop();
  QUERN_ASSIGN(Score two, score(j));
  Expr total = b.reduce(ExprOp::kReduceSum, j, keys, weight(two));
  if (s.has_sink) total = b.add(total, b.unary(ExprOp::kExp, b.sub(sink, top)));
  const Expr n = b.loop();
  QUERN_ASSIGN(Score three, score(n));
  QUERN_ASSIGN(Expr v, load_at(kV, attention::kVRows, kv_head, n, ctx.index(3)));
  const Expr sum = b.reduce(ExprOp::kReduceSum, n, keys, b.mul(weight(three), v));
  if (!s.nan_to_zero) return b.div(sum, total);
  const Expr zero = b.number(total, 0);
  return b.select(b.eq(total, zero), zero, b.div(sum, total));
}

struct Config {
  int64_t head = 0, head_v = 0, bq = 16, bk = 32, rows = 2, lanes = 8;
  AttentionExtras extras;
  template <class F>
  void fields(F&& f) const {
    f("HEAD", head);
    f("HEAD_V", head_v);
    f("BQ", bq);
    f("BK", bk);
    f("ROWS", rows);
    f("LANES", lanes);
    extras.fields(f);
  }
  /// Bytes of workgroup memory.
  [[nodiscard]] int64_t storage() const {
    const int64_t d4 = head / 4;
    const int64_t v4 = head_v / 4;
    return bq * (d4 + 1) * 16 + bk * (std::max(d4, v4) + 1) * 16 + bq * bk * 4 + bq * lanes * 4;
  }
};

constexpr std::string_view kRows = "fused_attention";

constexpr std::string_view kSubgroups = "attention_subgroup";

/// attention_subgroup.wgsl.
struct SubgroupConfig {
  int64_t head = 0;
  int64_t bq = 64;  ///< not of the kernel's to choose
  template <class F>
  void fields(F&& f) const {
    f("HEAD", head);
  }
  [[nodiscard]] int64_t storage() const {
    return (2 * 32 * (head / 8 + 1) + bq * (std::max<int64_t>(8, head / 8) + 1)) * 16 + 16;
  }
};

/// For f16 tensors without masks but causal ones, where the target has subgroup matrices.
std::optional<SubgroupConfig> subgroups_of(const LowerContext& ctx, const AttentionShape& s) {
  const Target& target = ctx.target();
  const MatrixShape shape = target.matrix_f16;
  if (shape.m != 16 || shape.n != 16 || shape.k != 16 || target.subgroup_min != 32 ||
      target.subgroup_max != 32 || target.max_invocations < 128) {
    return std::nullopt;
  }
  for (size_t i = kQ; i <= kV; ++i) {
    if (ctx.input(i).dtype != DType::kF16) return std::nullopt;
  }
  if (s.has_mask || s.has_offsets || s.has_sink || s.softcap != 0 || s.window > 0 ||
      s.head != s.head_v || s.head % 32 != 0 || s.head > 128 || s.keys == 0) {
    return std::nullopt;
  }
  for (const HeadStrides& t : {s.q, s.k, s.v}) {
    for (const int64_t stride : {t.batch, t.head, t.row, t.start}) {
      if (stride % 8 != 0) return std::nullopt;
    }
  }
  const SubgroupConfig config{s.head};
  if (config.storage() > static_cast<int64_t>(target.max_workgroup_storage)) return std::nullopt;
  return config;
}

using Form = std::variant<Config, AttentionTiles, SubgroupConfig>;

std::string_view kernel_of(const Config&) { return kRows; }
std::string_view kernel_of(const SubgroupConfig&) { return kSubgroups; }

std::string name_of(const Config& c) {
  return cat(kRows, " ", c.bq, "x", c.bk, " by ", c.rows, "x", c.lanes);
}
std::string name_of(const SubgroupConfig&) { return std::string(kSubgroups); }
std::string name_of(const Form& form) {
  return std::visit([](const auto& c) { return name_of(c); }, form);
}

/// What a tuner may try: `usual` first, then other blocks.
std::vector<Form> forms_of(const LowerContext& ctx, const AttentionShape& s, const Form& usual,
                           const Config& rows) {
  struct Blocks {
    int64_t bq, bk, rows, lanes;
  };
  constexpr Blocks kBlocksOfRows[] = {{16, 32, 2, 8}, {16, 32, 1, 8},  {8, 32, 1, 8},
                                      {8, 32, 1, 16}, {16, 64, 1, 16}, {32, 32, 1, 8},
                                      {32, 32, 2, 8}, {32, 64, 2, 16}};
  std::vector<Form> forms = {usual};
  for (const auto& [bq, bk, of_one, lanes] : kBlocksOfRows) {
    Config config = rows;
    std::tie(config.bq, config.bk, config.rows, config.lanes) = std::tie(bq, bk, of_one, lanes);
    if (bq / of_one * lanes <= int64_t{ctx.target().max_invocations} &&
        config.storage() <= int64_t{ctx.target().max_workgroup_storage}) {
      add_new(forms, Form(config));
    }
  }
  for (const AttentionTiles& tiles : attention_tiles_forms(ctx, s)) add_new(forms, Form(tiles));
  return forms;
}

/// What the time depends on.
std::string problem_of(const LowerContext& ctx, const AttentionShape& s) {
  return cat("attention ", s.batch, "x", s.heads, "/", s.group, " ", s.queries, "x", s.keys, " ",
             s.head, ":", s.head_v, " ", name_of(ctx.input(kQ).dtype), s.causal ? " causal" : "",
             s.window > 0 ? " window" : "", s.has_mask ? " mask" : "",
             s.softcap != 0 ? " softcap" : "", s.has_offsets ? " offsets" : "");
}

bool are_rows_baked(const LowerContext& ctx, size_t input, attention::Layout bit) {
  return ctx.input(input).is_baked((ctx.node().int_or("rows_first", 0) & bit) != 0 ? 1 : 2);
}

/// May another binding have one query of several keys? Where keys are more than the queries' own
/// tokens, they are from a cache.
bool may_decode(const LowerContext& ctx, const AttentionShape& s) {
  return !are_rows_baked(ctx, kQ, attention::kQRows) &&
         !are_rows_baked(ctx, kK, attention::kKRows) &&
         (s.keys != s.queries || s.has_offsets || ctx.node().int_or("is_causal", 0) > 1);
}

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(0).dtype)) return unsupported("attention in f64");
  QUERN_ASSIGN(AttentionShape s, attention_shape(ctx));
  if (!ctx.input(kQ).is_baked(3) || !ctx.input(kV).is_baked(3)) {
    return unsupported("attention of unknown head size");
  }
  if (s.head % 4 != 0 || s.head_v % 4 != 0) return unsupported("an odd head size");
  for (size_t i = kQ; i <= kSink; ++i) {
    if (ctx.has_input(i)) QUERN_TRY(check_u32(ctx, ctx.input(i).count()));
  }
  if (ctx.output(0).count() == 0) return {};
  Config config;
  config.head = s.head;
  config.head_v = s.head_v;
  config.extras = AttentionExtras(s);
  const auto limit = static_cast<int64_t>(ctx.target().max_workgroup_storage);
  while (config.storage() > limit && config.bk > config.lanes) config.bk /= 2;
  while (config.storage() > limit && config.bq > 1) config.bq /= 2;
  config.rows = std::min(config.rows, config.bq);
  while (config.storage() > limit && config.lanes > 4) {
    config.lanes /= 2;
    config.bk = config.lanes;
  }
  if (config.storage() > limit) return unsupported(cat("attention with a head size of ", s.head));

  KernelCall call;
  call.bindings = {ctx.bind_in("q", 0), ctx.bind_in("k", 1), ctx.bind_in("v", 2)};
  if (s.has_mask) call.bindings.push_back(ctx.bind_in("mask", kMask));
  if (s.has_offsets) call.bindings.push_back(ctx.bind_in("offsets", kOffsets));
  if (s.has_sink) call.bindings.push_back(ctx.bind_in("sink", kSink));
  call.bindings.push_back(ctx.bind_out("y", 0));
  // Strides in fours, but for y.
  // Without a window so large a one that kernels can subtract it from any place without a wrap.
  const int64_t window = s.causal && s.window > 0 ? s.window : INT32_MAX / 2;
  call.params = {word(s.batch),   word(s.heads),         word(s.group),
                 word(s.queries), word(s.keys),          0,
                 word(s.causal),  word(s.causal_offset), word(s.last_sees_all),
                 word(window),    word(s.mask[0]),       word(s.mask[1]),
                 word(s.mask[2]), word(s.mask[3])};
  for (const HeadStrides& t : {s.q, s.k, s.v}) {
    call.params.insert(call.params.end(),
                       {word(t.batch / 4), word(t.head / 4), word(t.row / 4), word(t.start / 4)});
  }
  call.params.insert(call.params.end(),
                     {word(s.y.batch), word(s.y.head), word(s.y.row), word_of(s.scale),
                      word_of(s.softcap), word_of(s.empty_row())});
  call.epilogue_at = "y";
  const auto with = [&](const auto& chosen) {
    KernelCall one = call;
    one.kernel = kernel_of(chosen);
    one.config = config_of(chosen);
    const int64_t blocks = (s.queries + chosen.bq - 1) / chosen.bq;
    one.params[attention::kBlocksParam] = word(blocks);
    one.workgroups =
        split_workgroups(static_cast<uint64_t>(blocks * s.batch * s.heads), ctx.target());
    one.stores_fours = one.kernel != kRows;
    return one;
  };
  // One query of several keys, as in decoding: each key is read once, so nothing is gained by
  // tiles.
  const bool rows_fixed = are_rows_baked(ctx, kQ, attention::kQRows);
  const bool is_vector = s.queries == 1 && (rows_fixed || s.keys > 1);
  if (is_vector) {
    const bool varies = !ctx.output(0).is_baked_from(0) || !ctx.input(kK).is_baked_from(0);
    QUERN_TRY(dispatch_attention_vector(ctx, s, call, varies));
    if (rows_fixed) return {};
  } else if (may_decode(ctx, s)) {
    QUERN_TRY(prepare_attention_vector(ctx, s, call));
  }
  const auto matrices = subgroups_of(ctx, s);
  const auto tiles = matrices ? std::nullopt : suited_attention_tiles(ctx, s);
  const Form usual = matrices && s.queries >= 16 ? Form(*matrices)
                     : tiles                     ? Form(*tiles)
                                                 : Form(config);
  if (!ctx.output(0).is_baked_from(0)) {
    // Those that another length may take.
    QUERN_TRY(ctx.prepare(with(config)));
    if (matrices) {
      QUERN_TRY(ctx.prepare(with(*matrices)));
    } else {
      QUERN_TRY(prepare_attention_tiles(ctx, s, call));
    }
  }
  if (is_vector) return {};
  Form form = usual;
  if (ctx.is_tuned() && s.queries > 1) {
    form = pick(ctx, problem_of(ctx, s), forms_of(ctx, s, usual, config),
                [](const Form& one) { return name_of(one); });
  }
  if (const auto* chosen = std::get_if<AttentionTiles>(&form)) {
    return dispatch_attention_tiles(ctx, s, std::move(call), *chosen);
  }
  const auto* by_rows = std::get_if<Config>(&form);
  return ctx.dispatch(by_rows != nullptr ? with(*by_rows) : with(std::get<SubgroupConfig>(form)));
}

}  // namespace

extern const OpDef op_fused_attention;
const OpDef op_fused_attention = {
    .name = "Attention",
    .domain = "quern",
    .since = 0,
    .min_inputs = 3,
    .max_inputs = 6,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .cpu_kernel = "fused_attention",
};

}  // namespace quern
