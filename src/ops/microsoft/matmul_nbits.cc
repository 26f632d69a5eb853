// MatMulNBits: a times a matrix b of 2, 4 or 8 bits an element, quantised in blocks along its rows,
// which are the result's columns. b stays packed: the kernels unpack it as they go.
#include "ops/common/forms.h"
#include "ops/common/gemm.h"
#include "ops/common/microsoft.h"
#include "ops/common/nbits.h"
#include "ops/op_def.h"

namespace quern {
namespace {

using enum nbits::Input;

constexpr AttributeField kAttributes[] = {
    {"K", AttributeKind::kInt, true},          {"N", AttributeKind::kInt, true},
    {"accuracy_level", AttributeKind::kInt},   {"bits", AttributeKind::kInt},
    {"block_size", AttributeKind::kInt, true}, {"weight_prepacked", AttributeKind::kInt},
};

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  const Shape* a = ctx.shape(kA);
  ctx.set(0, ctx.dtype(kA), std::nullopt);
  if (a == nullptr) return {};
  if (a->empty() || proven_equal(a->back(), q.k) == false) {
    return ctx.error(cat("a is ", *a, " where K is ", q.k));
  }
  const auto has_count = [&](size_t i, int64_t count) {
    return ctx.shape(i) == nullptr || proven_equal(element_count(*ctx.shape(i)), count) != false;
  };
  if (!has_count(kB, q.n * q.row_bytes()) || !has_count(kScales, q.n * q.blocks())) {
    return ctx.error(cat("b or scales don't fit N ", q.n, ", K ", q.k, ", block_size ", q.block,
                         ", ", q.bits, " bits"));
  }
  if (ctx.has_input(kZeroPoints) &&
      !has_count(kZeroPoints,
                 q.n * (is_float(ctx.dtype(kZeroPoints)) ? q.blocks() : q.zero_row()))) {
    return ctx.error("zero_points don't fit");
  }
  if (ctx.has_input(kGroupIndex) && !has_count(kGroupIndex, q.k) &&
      !has_count(kGroupIndex, q.blocks() * q.block)) {
    return ctx.error("g_idx doesn't fit");
  }
  if (ctx.has_input(kBias) && !has_count(kBias, q.n)) return ctx.error("bias doesn't fit");
  Shape y = *a;
  y.back() = q.n;
  ctx.set(0, ctx.dtype(kA), std::move(y));
  return {};
}

/// The general form: a sum over K.
Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  const size_t last = ctx.input(kA).rank() - 1;
  const Expr n = ctx.index(last);
  const Expr k = b.loop();
  std::vector<Expr> at_a = ctx.indices();
  at_a[last] = k;
  QUERN_ASSIGN(Expr a, ctx.load(kA, at_a));
  // Tensors after the first are addressed as [N, elements of a row], whatever their rank.
  const auto load_row = [&](size_t input, Expr at, int64_t row) {
    std::vector<Expr> index;
    const TensorInfo& info = ctx.input(input);
    Expr flat = b.add(b.mul(n, b.i32(row)), at);
    for (size_t i = info.rank(); i-- > 0;) {
      const Expr extent = ctx.dim(input, i);
      index.insert(index.begin(), i == 0 ? flat : b.binary(ExprOp::kRem, flat, extent));
      flat = b.div(flat, extent);
    }
    return ctx.load(input, index);
  };
  const auto unpacked = [&](Expr byte, Expr element) {
    const Expr shift = b.mul(b.binary(ExprOp::kRem, element, b.i32(8 / q.bits)), b.i32(q.bits));
    const Expr bits = b.binary(ExprOp::kShr, byte, b.cast(shift, Scalar::kU32));
    return b.cast(b.binary(ExprOp::kBitAnd, bits, b.constant_int(Scalar::kU32, (1 << q.bits) - 1)),
                  b.type_of(a));
  };
  const Expr per_byte = b.i32(8 / q.bits);
  QUERN_ASSIGN(Expr byte, load_row(kB, b.div(k, per_byte), q.row_bytes()));
  const Expr block = b.div(k, b.i32(q.block));
  QUERN_ASSIGN(Expr scale, load_row(kScales, block, q.blocks()));
  Expr zero = b.number(a, 1 << (q.bits - 1));
  if (ctx.has_input(kZeroPoints)) {
    if (is_float(ctx.input(kZeroPoints).dtype)) {
      QUERN_ASSIGN(zero, load_row(kZeroPoints, block, q.blocks()));
    } else {
      QUERN_ASSIGN(Expr packed, load_row(kZeroPoints, b.div(block, per_byte), q.zero_row()));
      zero = unpacked(packed, block);
    }
  }
  const Expr weight = b.mul(b.sub(unpacked(byte, k), zero), scale);
  const Expr sum = b.reduce(ExprOp::kReduceSum, k, b.i32(q.k), b.mul(a, weight));
  if (!ctx.has_input(kBias)) return sum;
  const Expr at_bias[] = {n};
  QUERN_ASSIGN(Expr bias, ctx.load(kBias, at_bias));
  return b.add(sum, bias);
}

/// Where g_idx says which block's scale each row of b has, b is unpacked first.
Result<bool> expand(Graph& graph, Node& node) {
  Value* group = node.input(kGroupIndex);
  if (group == nullptr) return false;
  QUERN_ASSIGN(const NBits q, read_nbits(node));
  Expansion e(graph, node, kExpansionOpset);
  const DType type = node.input(kA)->type.dtype;
  const double middle = 1 << (q.bits - 1);
  // Rows of packed codes as numbers less the middle one.
  const auto unpacked = [&](Value* codes) {
    Value* one = e.add("Reshape", {e.number(type, 1), e.ints({1, 1, 1})});
    Value* rows = e.add("Reshape", {codes, e.ints({1, q.n, -1})});
    Value* numbers =
        e.add_in("com.microsoft", 1, "GatherBlockQuantized", {rows, e.integer(0), one},
                 {{"bits", q.bits}, {"block_size", int64_t{0}}, {"quantize_axis", int64_t{2}}});
    return numbers;
  };
  const auto columns = [&](Value* v, int64_t count) {
    return e.add("Slice", {v, e.ints({0}), e.ints({count}), e.ints({1})});
  };
  const auto of_rows = [&](Value* v) {
    v = e.add("Reshape", {v, e.ints({q.n, q.blocks()})});
    return e.add("Gather", {v, group}, {{"axis", int64_t{1}}});
  };
  group = e.add("Slice", {group, e.ints({0}), e.ints({q.k}), e.ints({0})});
  Value* b = columns(unpacked(node.input(kB)), q.k);
  if (Value* zero = node.input(kZeroPoints)) {
    zero = is_float(zero->type.dtype) ? e.add("Sub", {zero, e.number(type, middle)})
                                      : columns(unpacked(zero), q.blocks());
    b = e.add("Sub", {b, of_rows(zero)});
  }
  b = e.add("Mul", {b, of_rows(node.input(kScales))});
  Value* y = e.add("MatMul", {node.input(kA), e.add("Transpose", {b})});
  if (node.input(kBias) != nullptr) y = e.add("Add", {y, node.input(kBias)});
  e.replace(0, y);
  e.finish();
  return true;
}

/// What both kernels have.
struct Common {
  int64_t bits = 4;
  bool vec_a = false, zero_packed = false, zero_float = false, bias = false;
  template <class F>
  void fields(F&& f) const {
    f("BITS", bits);
    f("VEC_A", vec_a);
    f("ZERO_PACKED", uint32_t{zero_packed});
    f("ZERO_FLOAT", uint32_t{zero_float});
    f("BIAS", uint32_t{bias});
  }
};

struct TileConfig {
  Common common;
  uint32_t wm = 16, wn = 16;
  template <class F>
  void fields(F&& f) const {
    common.fields(f);
    f("WM", wm);
    f("WN", wn);
  }
};

/// matvec_nbits.wgsl, or matvec_nbits_digits.wgsl.
struct VectorConfig {
  Common common;
  int64_t rows = 4, lanes = 32, columns = 4;
  bool wide = false, digits = false, vec_y = false;
  /// Columns of a workgroup.
  [[nodiscard]] int64_t block() const { return (digits ? 256 : 64) / lanes * columns; }
  template <class F>
  void fields(F&& f) const {
    common.fields(f);
    f("ROWS", rows);
    f("LANES", lanes);
    f("COLS", columns);
    f("FOUR_WORDS", uint32_t{wide});
    f("VEC_Y", uint32_t{vec_y});
  }
};

/// matvec_nbits_digits.wgsl.
struct DigitsConfig {
  VectorConfig vector;
  template <class F>
  void fields(F&& f) const {
    vector.common.fields(f);
    f("LANES", vector.lanes);
    f("COLS", vector.columns);
    f("VEC_Y", uint32_t{vector.vec_y});
  }
};

/// What a tuner calls it.
std::string name_of(const VectorConfig& c) {
  return cat(c.lanes, " by ", c.columns, c.digits ? ", digits" : c.wide ? ", four words" : "");
}

constexpr int64_t kManyColumns = 16384;
constexpr int64_t kFewColumns = 4096;

/// For at most four rows.
VectorConfig vector_config(LowerContext& ctx, const NBits& q, int64_t m, const Common& common) {
  const int64_t row_words = q.row_bytes() / 4;
  const bool may_be_wide = row_words % 4 == 0 && q.block * q.bits % 128 == 0;
  const bool has_digits = m == 1 && may_be_wide && ctx.target().byte_products;
  VectorConfig config;
  config.common = common;
  config.rows = m == 1 ? 1 : 4;
  // Few columns keep a device busy by wide loads, many by more columns an invocation: of one row,
  // whose values are few to hold (docs/performance.md).
  if (m == 1 && q.n >= kManyColumns) {
    config.digits = has_digits;
    config.columns = has_digits ? 4 : 8;
    config.wide = may_be_wide;
    if (may_be_wide && q.bits < 8) config.lanes = 16;
    if (has_digits) config.lanes = 8;
  } else if (m == 1 && q.n <= kFewColumns && may_be_wide) {
    config.wide = true;
    config.columns = 2;
  }
  const int64_t loads = config.wide ? row_words / 4 : row_words;
  while (config.lanes > 8 && config.lanes > loads) config.lanes /= 2;
  if (ctx.is_tuned()) {
    std::vector<VectorConfig> forms = {config};
    for (const bool wide : {false, true}) {
      for (const int64_t lanes : {8, 16, 32, 64}) {
        for (const int64_t columns : {1, 2, 4, 8}) {
          if (wide && !may_be_wide) continue;
          VectorConfig form = config;
          form.wide = wide;
          form.lanes = lanes;
          form.columns = columns;
          form.digits = false;
          add_new(forms, form);
          // More columns are more than the workgroup's memory holds.
          form.digits = wide && has_digits && columns <= 4;
          add_new(forms, form);
        }
      }
    }
    const std::string problem = cat("matvec ", m, "x", q.n, "x", q.k, " ", q.bits, " bits by ",
                                    q.block, " ", name_of(ctx.input(kA).dtype));
    config = pick(ctx, problem, forms, [](const VectorConfig& c) { return name_of(c); });
  }
  config.vec_y = config.block() % 4 == 0 && q.n % 4 == 0;
  return config;
}

Result<void> lower(LowerContext& ctx) {
  if (!is_f32_like(ctx.input(kA).dtype)) return unsupported("a product of f64");
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  for (size_t i = kA; i <= kBias; ++i) {
    if (ctx.has_input(i)) QUERN_TRY(check_u32(ctx, ctx.input(i).count()));
  }
  QUERN_TRY(check_u32(ctx, ctx.output(0).count()));
  const int64_t m = ctx.output(0).count() / q.n;
  if (m == 0) return {};
  Common common;
  common.bits = q.bits;
  common.vec_a = q.k % 4 == 0;
  common.bias = ctx.has_input(kBias);
  KernelCall call;
  call.bindings = {ctx.bind_in("a", kA), ctx.bind_in("b", kB), ctx.bind_in("scales", kScales)};
  if (ctx.has_input(kZeroPoints)) {
    common.zero_float = is_float(ctx.input(kZeroPoints).dtype);
    common.zero_packed = !common.zero_float;
    call.bindings.push_back(
        ctx.bind_in(common.zero_float ? "zero_floats" : "zero_points", kZeroPoints));
  }
  if (common.bias) call.bindings.push_back(ctx.bind_in("bias", kBias));
  call.bindings.push_back(ctx.bind_out("y", 0));
  call.epilogue_at = "y";
  const auto word = [](int64_t v) { return static_cast<uint32_t>(v); };
  const int64_t row_words = q.row_bytes() / 4;
  call.params = {word(m),       word(q.n),       word(q.k),         word(q.blocks()),
                 word(q.block), word(row_words), word(q.zero_row())};
  int64_t workgroups = 0;
  if (m <= 4) {
    const VectorConfig config = vector_config(ctx, q, m, common);
    call.kernel = config.digits ? "matvec_nbits_digits" : "matvec_nbits";
    call.config = config.digits ? config_of(DigitsConfig{config}) : config_of(config);
    if (config.digits) call.params.erase(call.params.begin());  // m
    call.stores_fours = config.vec_y;
    workgroups = (q.n + config.block() - 1) / config.block();
  } else {
    TileConfig config;
    config.common = common;
    if (m <= 32 || ((m + 63) / 64) * ((q.n + 63) / 64) < 16) {
      config.wm = 8;
      config.wn = 8;
    }
    const int64_t tiles_m = (m + config.wm * 4 - 1) / (config.wm * 4);
    const int64_t tiles_n = (q.n + config.wn * 4 - 1) / (config.wn * 4);
    call.kernel = "matmul_nbits";
    call.config = config_of(config);
    call.params.insert(call.params.end(), {word(tiles_m), word(tiles_n)});
    workgroups = tiles_m * tiles_n;
  }
  call.workgroups = split_workgroups(static_cast<uint64_t>(workgroups), ctx.target());
  return ctx.dispatch(std::move(call));
}

}  // namespace

extern const OpDef op_matmul_nbits;
const OpDef op_matmul_nbits = {
    .name = "MatMulNBits",
    .domain = "com.microsoft",
    .min_inputs = 3,
    .max_inputs = 6,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .expand = expand,
    .cpu_kernel = "matmul_nbits",
};

}  // namespace quern
