#include "ops/common/nbits.h"

#include "ops/common/forms.h"
#include "ops/common/gemm.h"

namespace quern {

namespace {

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
VectorConfig vector_config(LowerContext& ctx, const NBits& q, int64_t m, const Common& common,
                           DType type) {
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
                                    q.block, " ", name_of(type));
    config = pick(ctx, problem, forms, [](const VectorConfig& c) { return name_of(c); });
  }
  config.vec_y = config.block() % 4 == 0 && q.n % 4 == 0;
  return config;
}

}  // namespace

Result<NBits> read_nbits(const Node& node) {
  NBits q;
  q.n = node.int_or("N", 0);
  q.k = node.int_or("K", 0);
  q.block = node.int_or("block_size", 0);
  q.bits = node.int_or("bits", 4);
  if (q.bits != 2 && q.bits != 4 && q.bits != 8) {
    return unsupported(cat(node.describe(), ": weights of ", q.bits, " bits, not 2, 4 or 8"));
  }
  if (q.n < 1 || q.n > INT32_MAX || q.k < 1 || q.k > INT32_MAX || q.block < 16 ||
      q.block > (1 << 20) || (q.block & (q.block - 1)) != 0) {
    return invalid_model(cat(node.describe(), ": N ", q.n, ", K ", q.k, ", block_size ", q.block));
  }
  if (const int64_t packed = node.int_or("weight_prepacked", 0); packed != 0) {
    return unsupported(cat(node.describe(), ": weight_prepacked is ", packed,
                           ", expected 0: these weights are packed for another engine"));
  }
  return q;
}

Result<void> check_nbits(const InferContext& ctx, const NBits& q, const NBitsInputs& inputs) {
  const auto [a, b, scales, zeros] = inputs;
  const auto has_count = [&](size_t i, int64_t count) {
    return ctx.shape(i) == nullptr || proven_equal(element_count(*ctx.shape(i)), count) != false;
  };
  if (!has_count(b, q.n * q.row_bytes()) || !has_count(scales, q.n * q.blocks())) {
    return ctx.error(cat("b or scales don't fit N ", q.n, ", K ", q.k, ", block_size ", q.block,
                         ", ", q.bits, " bits"));
  }
  if (ctx.has_input(zeros) &&
      !has_count(zeros, q.n * (is_float(ctx.dtype(zeros)) ? q.blocks() : q.zero_row()))) {
    return ctx.error("zero_points don't fit");
  }
  return {};
}

Result<Expr> nbits_expr(ExprContext& ctx, const NBits& q, const NBitsInputs& inputs) {
  ExprBuilder& b = ctx.b;
  const size_t a_in = inputs[0], b_in = inputs[1], scales_in = inputs[2], zeros_in = inputs[3];
  const size_t last = ctx.input(a_in).rank() - 1;
  const Expr n = ctx.index(last);
  const Expr k = b.loop();
  std::vector<Expr> at_a = ctx.indices();
  at_a[last] = k;
  QUERN_ASSIGN(Expr a, ctx.load(a_in, at_a));
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
  QUERN_ASSIGN(Expr byte, load_row(b_in, b.div(k, per_byte), q.row_bytes()));
  const Expr block = b.div(k, b.i32(q.block));
  QUERN_ASSIGN(Expr scale, load_row(scales_in, block, q.blocks()));
  Expr zero = b.number(a, 1 << (q.bits - 1));
  if (ctx.has_input(zeros_in)) {
    if (is_float(ctx.input(zeros_in).dtype)) {
      QUERN_ASSIGN(zero, load_row(zeros_in, block, q.blocks()));
    } else {
      QUERN_ASSIGN(Expr packed, load_row(zeros_in, b.div(block, per_byte), q.zero_row()));
      zero = unpacked(packed, block);
    }
  }
  const Expr weight = b.mul(b.sub(unpacked(byte, k), zero), scale);
  return b.reduce(ExprOp::kReduceSum, k, b.i32(q.k), b.mul(a, weight));
}

Result<void> dispatch_nbits(LowerContext& ctx, const NBits& q, const NBitsInputs& inputs,
                            const KernelBinding& a, const std::optional<KernelBinding>& bias,
                            const KernelBinding& y, bool epilogue) {
  const size_t zeros = inputs[3];
  if (!is_f32_like(a.dtype)) return unsupported("a product of f64");
  const auto count = static_cast<int64_t>(y.count);
  QUERN_TRY(check_u32(ctx, count));
  const int64_t m = count / q.n;
  if (m == 0) return {};
  Common common;
  common.bits = q.bits;
  common.vec_a = q.k % 4 == 0;
  common.bias = bias.has_value();
  KernelCall call;
  call.bindings = {a, ctx.bind_in("b", inputs[1]), ctx.bind_in("scales", inputs[2])};
  if (ctx.has_input(zeros)) {
    common.zero_float = is_float(ctx.input(zeros).dtype);
    common.zero_packed = !common.zero_float;
    call.bindings.push_back(ctx.bind_in(common.zero_float ? "zero_floats" : "zero_points", zeros));
  }
  if (bias) call.bindings.push_back(*bias);
  call.bindings.push_back(y);
  if (epilogue) call.epilogue_at = "y";
  const int64_t row_words = q.row_bytes() / 4;
  call.params = {word(m),       word(q.n),       word(q.k),         word(q.blocks()),
                 word(q.block), word(row_words), word(q.zero_row())};
  int64_t workgroups = 0;
  if (m <= 4) {
    const VectorConfig config = vector_config(ctx, q, m, common, a.dtype);
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

}  // namespace quern
