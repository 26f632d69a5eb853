// quern.RotateAppend, made by passes/join_appends.cc: what quern.Rotary and quern.AppendCache do
// with the packed queries, keys and values of a decoder's layer, in one dispatch. Inputs: x, [B, S,
// heads + 2 * kv_heads, D]; a table [positions, R], each row's cosines and then its sines; where
// rows go in each batch, i32 [B], which are their positions too; the caches of keys and of values
// so far (or neither), [B, kv_heads, P, D]; the length after it of the longest batch, one integer.
// Outputs: the queries, [B, S, heads, D], and the caches, [B, kv_heads, T, D]. Attributes: heads,
// kv_heads; interleaved as Rotary's.
#include "ops/common/exprs.h"
#include "ops/common/gemm.h"
#include "ops/op_def.h"
#include "shader/lower.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"heads", AttributeKind::kInt, true},
    {"kv_heads", AttributeKind::kInt, true},
    {"interleaved", AttributeKind::kInt},
};

enum Input : size_t { kX, kTable, kOffsets, kPastKeys, kPastValues, kTotal };
enum Output : size_t { kQueries, kKeys, kValues };

Result<void> infer(InferContext& ctx) {
  QUERN_TRY(ctx.expect_rank(kX, 4));
  QUERN_TRY(ctx.expect_rank(kTable, 2));
  QUERN_TRY(ctx.expect_rank(kOffsets, 1));
  const int64_t heads = ctx.node().int_or("heads", 0);
  const int64_t kv_heads = ctx.node().int_or("kv_heads", 0);
  for (size_t i = 0; i < 3; ++i) ctx.set(i, ctx.dtype(kX), std::nullopt);
  const Shape* x = ctx.shape(kX);
  const Shape* table = ctx.shape(kTable);
  const Shape* offsets = ctx.shape(kOffsets);
  if (heads < 1 || kv_heads < 1) return ctx.error(cat(heads, " heads, ", kv_heads, " of keys"));
  if (ctx.has_input(kPastKeys) != ctx.has_input(kPastValues) || !ctx.has_input(kTotal)) {
    return ctx.error("one cache without the other, or no length");
  }
  if (x == nullptr) return {};
  if (proven_equal((*x)[2], heads + 2 * kv_heads) == false) {
    return ctx.error(cat(heads, " + 2 * ", kv_heads, " heads in rows ", *x));
  }
  if (offsets != nullptr && proven_equal((*offsets)[0], (*x)[0]) == false) {
    return ctx.error(cat("offsets ", *offsets, " for rows ", *x));
  }
  if (table != nullptr && (*table)[1].is_const() && (*table)[1].value() % 2 != 0) {
    return ctx.error(cat("cosines and sines ", *table));
  }
  ctx.set(kQueries, ctx.dtype(kX), Shape{(*x)[0], (*x)[1], heads, (*x)[3]});
  const Shape* past = ctx.has_input(kPastKeys) ? ctx.shape(kPastKeys) : nullptr;
  for (size_t i = kPastKeys; i <= kPastValues; ++i) {
    if (!ctx.has_input(i)) continue;
    QUERN_TRY(ctx.expect_rank(i, 4));
    if (ctx.shape(i) == nullptr || past == nullptr) return {};
    const Shape& p = *ctx.shape(i);
    if (proven_equal(p[0], (*x)[0]) == false || proven_equal(p[1], kv_heads) == false ||
        proven_equal(p[2], (*past)[2]) == false || proven_equal(p[3], (*x)[3]) == false) {
      return ctx.error(cat("a cache ", p, " for rows ", *x));
    }
  }
  Dim total = ctx.fresh_dim(kKeys, 2);
  const auto contents = ctx.contents(kTotal);
  if (contents && contents->size() == 1) {
    total = past != nullptr ? max((*past)[2], (*contents)[0]) : (*contents)[0];  // what is there
  }
  if (total.upper() < 0) return ctx.error(cat("a total length of ", total));
  for (size_t i : {kKeys, kValues}) {
    ctx.set(i, ctx.dtype(kX), Shape{(*x)[0], kv_heads, total, (*x)[3]});
  }
  return {};
}

/// Element d of a head of x, rotated.
Result<Expr> rotated(ExprContext& ctx, std::span<const Expr> head, Expr d, Expr position) {
  ExprBuilder& b = ctx.b;
  const Expr two = b.i32(2);
  const Expr half = b.div(ctx.dim(kTable, 1), two);
  const bool interleaved = ctx.node().int_or("interleaved", 0) != 0;
  const Expr is_first =
      interleaved ? b.eq(b.binary(ExprOp::kRem, d, two), b.i32(0)) : b.lt(d, half);
  const Expr pair =
      clamp_index(b, interleaved ? b.div(d, two) : b.select(is_first, d, b.sub(d, half)), half);
  const Expr distance = interleaved ? b.i32(1) : half;
  const Expr partner =
      clamp_index(b, b.select(is_first, b.add(d, distance), b.sub(d, distance)), ctx.dim(kX, 3));
  position = clamp_index(b, position, ctx.dim(kTable, 0));
  const Expr at_cos[] = {position, pair};
  const Expr at_sin[] = {position, b.add(pair, half)};
  const Expr at_x[] = {head[0], head[1], head[2], d};
  const Expr at_other[] = {head[0], head[1], head[2], partner};
  QUERN_ASSIGN(Expr cos, ctx.load(kTable, at_cos));
  QUERN_ASSIGN(Expr sin, ctx.load(kTable, at_sin));
  QUERN_ASSIGN(Expr x, ctx.load(kX, at_x));
  QUERN_ASSIGN(Expr other, ctx.load(kX, at_other));
  const Expr side = b.mul(other, sin);
  const Expr turned = b.add(b.mul(x, cos), b.select(is_first, b.unary(ExprOp::kNeg, side), side));
  return b.select(b.lt(d, b.mul(half, two)), turned, x);
}

Result<Expr> expr(ExprContext& ctx, size_t output) {
  ExprBuilder& b = ctx.b;
  const Expr at_offset[] = {ctx.index(0)};
  QUERN_ASSIGN(Expr offset, ctx.load(kOffsets, at_offset));
  offset = b.cast(offset, Scalar::kI32);
  const Expr d = ctx.index(3);
  if (output == kQueries) {
    const Expr head[] = {ctx.index(0), ctx.index(1), ctx.index(2)};
    return rotated(ctx, head, d, b.add(offset, ctx.index(1)));
  }
  const Expr t = ctx.index(2);
  const Expr row = b.sub(t, offset);
  const Expr rows = ctx.dim(kX, 1);
  const Expr is_new = b.logical_and(b.binary(ExprOp::kGe, row, b.i32(0)), b.lt(row, rows));
  const int64_t before =
      ctx.node().int_or("heads", 0) + (output == kValues ? ctx.node().int_or("kv_heads", 0) : 0);
  const Expr head[] = {ctx.index(0), clamp_index(b, row, rows), b.add(ctx.index(1), b.i32(before))};
  const Expr at[] = {head[0], head[1], head[2], d};
  auto loaded = output == kKeys ? rotated(ctx, head, d, t) : ctx.load(kX, at);
  QUERN_ASSIGN(const Expr added, std::move(loaded));
  Expr old = b.number(added, 0);
  if (ctx.has_input(kPastKeys)) {
    const size_t axes[] = {2};
    QUERN_ASSIGN(Expr past, load_or(ctx, output == kKeys ? kPastKeys : kPastValues,
                                    {ctx.index(0), ctx.index(1), t, d}, axes, old));
    old = b.select(b.lt(row, b.i32(0)), past, old);
  }
  return b.select(is_new, added, old);
}

struct Config {
  int64_t workgroup = 64;
  bool past = false, interleaved = false;
  template <class F>
  void fields(F&& f) const {
    f("WG", workgroup);
    f("PAST", uint32_t{past});
    f("INTERLEAVED", uint32_t{interleaved});
  }
};

Result<void> lower(LowerContext& ctx) {
  const TensorInfo& x = ctx.input(kX);
  const TensorInfo& table = ctx.input(kTable);
  const int64_t size = x.dims[3];
  const int64_t rotated = table.dims[1];
  const bool has_fours = size % 4 == 0 && rotated % 8 == 0 && rotated <= size;
  if ((x.dtype != DType::kF32 && x.dtype != DType::kF16) || !has_fours || table.dims[0] == 0) {
    return unsupported(cat(ctx.node().describe(), ": rows ", x.dims, ", a table ", table.dims));
  }
  Config config;
  config.past = ctx.has_input(kPastKeys) && ctx.input(kPastKeys).count() > 0;
  config.interleaved = ctx.node().int_or("interleaved", 0) != 0;
  const Dims& keys = ctx.output(kKeys).dims;
  const int64_t queries = ctx.output(kQueries).count() / 4;
  const int64_t cached = ctx.output(kKeys).count() / 4;
  QUERN_TRY(check_u32(ctx, x.count()));
  QUERN_TRY(check_u32(ctx, table.count()));
  QUERN_TRY(check_u32(ctx, queries + 2 * cached + config.workgroup));
  if (queries + cached == 0) return {};
  KernelCall call;
  call.kernel = "rotate_append";
  call.bindings = {ctx.bind_in("x", kX), ctx.bind_in("table", kTable),
                   ctx.bind_in("offsets", kOffsets)};
  int64_t past = 0;
  if (config.past) {
    past = ctx.input(kPastKeys).dims[2];
    QUERN_TRY(check_u32(ctx, ctx.input(kPastKeys).count()));
    call.bindings.push_back(ctx.bind_in("past_keys", kPastKeys));
    call.bindings.push_back(ctx.bind_in("past_values", kPastValues));
  }
  call.bindings.push_back(ctx.bind_out("queries", kQueries));
  call.bindings.push_back(ctx.bind_out("keys", kKeys));
  call.bindings.push_back(ctx.bind_out("values", kValues));
  call.config = config_of(config);
  call.params = {
      word(queries),     word(cached),       word(x.dims[1]), word(x.dims[2] - 2 * keys[1]),
      word(keys[1]),     word(past),         word(keys[2]),   word(size / 4),
      word(rotated / 8), word(table.dims[0])};
  const int64_t groups = (queries + 2 * cached + config.workgroup - 1) / config.workgroup;
  call.workgroups = split_workgroups(static_cast<uint64_t>(groups), ctx.target());
  call.stores_fours = true;
  return ctx.dispatch(std::move(call));
}

}  // namespace

extern const OpDef op_rotate_append;
const OpDef op_rotate_append = {
    .name = "RotateAppend",
    .domain = "quern",
    .since = 0,
    .min_inputs = 3,
    .max_inputs = 6,
    .min_outputs = 3,
    .max_outputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .host_inputs = 1u << kTotal,
    .infer = infer,
    .expr = expr,
    .lower = lower,
};

}  // namespace quern
