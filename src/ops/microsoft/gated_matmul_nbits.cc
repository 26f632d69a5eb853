// quern.GatedMatMulNBits, made by passes/join_gates.cc: silu(a gate) * (a up) of two matrices as
// MatMulNBits has them, with its attributes. Inputs: a; b, scales and zero points (or none) of the
// gate, and then of the other.
#include "ops/common/gated.h"
#include "ops/common/gemm.h"
#include "ops/common/nbits.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"K", AttributeKind::kInt, true},
    {"N", AttributeKind::kInt, true},
    {"bits", AttributeKind::kInt},
    {"block_size", AttributeKind::kInt, true},
};

constexpr NBitsInputs kGate = {0, 1, 2, 3};
constexpr NBitsInputs kUp = {0, 4, 5, 6};

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  const Shape* a = ctx.shape(0);
  ctx.set(0, ctx.dtype(0), std::nullopt);
  for (const NBitsInputs& inputs : {kGate, kUp}) {
    if (!ctx.has_input(inputs[1]) || !ctx.has_input(inputs[2])) {
      return ctx.error("a matrix without scales");
    }
    QUERN_TRY(check_nbits(ctx, q, inputs));
  }
  if (a == nullptr) return {};
  if (a->empty() || proven_equal(a->back(), q.k) == false) {
    return ctx.error(cat("a is ", *a, " where K is ", q.k));
  }
  Shape y = *a;
  y.back() = q.n;
  ctx.set(0, ctx.dtype(0), std::move(y));
  return {};
}

Result<Expr> expr(ExprContext& ctx, size_t) {
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  QUERN_ASSIGN(const Expr gate, nbits_expr(ctx, q, kGate));
  QUERN_ASSIGN(const Expr up, nbits_expr(ctx, q, kUp));
  return gated(ctx.b, gate, up);
}

/// gated_matvec_nbits.wgsl.
struct Config {
  int64_t bits = 4, lanes = 32, columns = 4;
  bool wide = false, vec_a = false, zeros = false, vec_y = false;
  template <class F>
  void fields(F&& f) const {
    f("BITS", bits);
    f("LANES", lanes);
    f("COLS", columns);
    f("FOUR_WORDS", uint32_t{wide});
    f("VEC_A", vec_a);
    f("ZERO_POINTS", uint32_t{zeros});
    f("VEC_Y", uint32_t{vec_y});
  }
};

/// As matvec_nbits.wgsl is used for twice the columns.
Config config_for(const NBits& q, bool zeros) {
  constexpr int64_t kFewColumns = 2048;
  const int64_t row_words = q.row_bytes() / 4;
  Config config{.bits = q.bits, .vec_a = q.k % 4 == 0, .zeros = zeros};
  config.wide = row_words % 4 == 0 && q.block * q.bits % 128 == 0;
  if (config.wide && q.n <= kFewColumns) {
    config.columns = 1;
  } else if (config.wide && q.bits < 8) {
    config.lanes = 16;
  }
  const int64_t loads = config.wide ? row_words / 4 : row_words;
  while (config.lanes > 8 && config.lanes > loads) config.lanes /= 2;
  config.vec_y = 64 / config.lanes * config.columns % 4 == 0 && q.n % 4 == 0;
  return config;
}

Result<void> lower_row(LowerContext& ctx, const NBits& q, bool zeros) {
  const Config config = config_for(q, zeros);
  KernelCall call;
  call.kernel = "gated_matvec_nbits";
  call.config = config_of(config);
  call.bindings = {ctx.bind_in("a", 0), ctx.bind_in("gate", kGate[1]), ctx.bind_in("up", kUp[1]),
                   ctx.bind_in("gate_scales", kGate[2]), ctx.bind_in("up_scales", kUp[2])};
  if (zeros) {
    call.bindings.push_back(ctx.bind_in("gate_zeros", kGate[3]));
    call.bindings.push_back(ctx.bind_in("up_zeros", kUp[3]));
  }
  call.bindings.push_back(ctx.bind_out("y", 0));
  call.params = {
      word(q.n),         word(q.k), word(q.blocks()), word(q.block), word(q.row_bytes() / 4),
      word(q.zero_row())};
  call.epilogue_at = "y";
  call.stores_fours = config.vec_y;
  const int64_t columns = 64 / config.lanes * config.columns;
  call.workgroups =
      split_workgroups(static_cast<uint64_t>((q.n + columns - 1) / columns), ctx.target());
  return ctx.dispatch(std::move(call));
}

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(0).dtype)) return unsupported("a product of f64");
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  const int64_t count = ctx.output(0).count();
  if (count == 0) return {};
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    if (ctx.has_input(i)) QUERN_TRY(check_u32(ctx, ctx.input(i).count()));
  }
  const bool gate_zeros = ctx.has_input(kGate[3]);
  const bool packed = !gate_zeros || !is_float(ctx.input(kGate[3]).dtype);
  if (count == q.n && packed && gate_zeros == ctx.has_input(kUp[3])) {
    return lower_row(ctx, q, gate_zeros);
  }
  return dispatch_gated(
      ctx, [&](bool is_gate, const KernelBinding& a, const KernelBinding& y) -> Result<void> {
        return dispatch_nbits(ctx, q, is_gate ? kGate : kUp, a, std::nullopt, y, false);
      });
}

}  // namespace

extern const OpDef op_gated_matmul_nbits;
const OpDef op_gated_matmul_nbits = {
    .name = "GatedMatMulNBits",
    .domain = "quern",
    .since = 0,
    .min_inputs = 3,
    .max_inputs = 7,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
};

}  // namespace quern
