#include "ops/common/product_parts.h"

#include <algorithm>
#include <numeric>

#include "ops/common/device_program.h"

namespace quern {
namespace {

constexpr auto kAlignment = static_cast<int64_t>(kBindingAlignment);
// Partial results that one kernel adds up or puts side by side, beside its output.
constexpr size_t kMaxParts = 7;

int64_t bits_of(const KernelBinding& binding) { return bit_width(binding.dtype); }

class Product {
 public:
  explicit Product(LowerContext& ctx)
      : ctx_(ctx), limit_(static_cast<int64_t>(ctx.target().max_binding_bytes)) {}

  [[nodiscard]] bool fits(const KernelBinding& binding) const {
    return static_cast<int64_t>(byte_size(binding.dtype, binding.count)) <= limit_;
  }

  /// Rows and batches, halved until a dispatch can bind its ranges; the part's first element of y
  /// is `y_start`.
  Result<void> part(const GemmCall& g, int64_t y_start) {
    const bool small_a = fits_span(g.a, span_a(g), g.a_start);
    const bool small_b = fits_span(g.b, span_b(g), g.b_start);
    const bool small_y = fits_result(g);
    if (small_a && small_b && small_y) return emit(g, y_start);
    for (size_t i = 0; i < g.batch.size(); ++i) {
      if (g.batch[i].size == 1) continue;
      int64_t inner = g.m * g.n;
      for (size_t j = i + 1; j < g.batch.size(); ++j) inner *= g.batch[j].size;
      const int64_t first = half(g.batch[i].size, inner, g.y);
      if (first == 0) return no_parts();
      return halves(g, y_start, first * inner, [&](GemmCall& one, bool is_second) {
        const BatchAxis& axis = g.batch[i];
        one.batch[i].size = is_second ? axis.size - first : first;
        if (!is_second) return;
        one.a_start += first * axis.a;
        one.b_start += first * axis.b;
      });
    }
    if (!small_y || (!small_a && g.a_row >= g.a_col)) {
      const int64_t first = half(g.m, g.n, g.y);
      if (first != 0) {
        return halves(g, y_start, first * g.n, [&](GemmCall& one, bool is_second) {
          one.m = is_second ? g.m - first : first;
          if (is_second) one.a_start += first * g.a_row;
        });
      }
    }
    if (!small_y) return no_parts();
    return g.b_row == 1 && g.b_col != 1 && small_a ? columns(g, y_start) : depth(g, y_start);
  }

 private:
  static int64_t span_a(const GemmCall& g) {
    int64_t last = (g.m - 1) * g.a_row + (g.k - 1) * g.a_col;
    for (const BatchAxis& axis : g.batch) last += (axis.size - 1) * axis.a;
    return last + 1;
  }
  static int64_t span_b(const GemmCall& g) {
    int64_t last = (g.k - 1) * g.b_row + (g.n - 1) * g.b_col;
    for (const BatchAxis& axis : g.batch) last += (axis.size - 1) * axis.b;
    return last + 1;
  }
  static int64_t count_of(const GemmCall& g) { return g.m * g.n * batch_count(g.batch); }

  /// The range of `span` elements from `start` on, from an aligned byte on.
  struct Range {
    int64_t offset, bytes, start;
  };
  static Range range_of(const KernelBinding& binding, int64_t span, int64_t start) {
    const int64_t bits = bits_of(binding);
    const int64_t offset = start * bits / 8 / kAlignment * kAlignment;
    return {offset, ((start + span) * bits + 7) / 8 - offset, start - offset * 8 / bits};
  }
  [[nodiscard]] bool fits_span(const KernelBinding& binding, int64_t span, int64_t start) const {
    return range_of(binding, span, start).bytes <= limit_;
  }
  /// Narrow results go through f32.
  [[nodiscard]] bool fits_result(const GemmCall& g) const {
    return count_of(g) * std::max<int64_t>(bits_of(g.y), 32) / 8 <= limit_;
  }

  /// About half of `size` slices of `inner` elements of y each, so that the second half begins at
  /// an aligned byte; 0 where there is none.
  static int64_t half(int64_t size, int64_t inner, const KernelBinding& y) {
    const int64_t period = kAlignment * 8 / std::gcd(kAlignment * 8, inner * bits_of(y));
    const int64_t first = std::max<int64_t>(size / 2 / period, 1) * period;
    return first < size ? first : 0;
  }

  template <class F>
  Result<void> halves(const GemmCall& g, int64_t y_start, int64_t skipped, F&& change) {
    GemmCall first = g;
    change(first, false);
    QUERN_TRY(part(first, y_start));
    GemmCall second = g;
    change(second, true);
    return part(second, y_start + skipped);
  }

  static std::unexpected<Error> no_parts() {
    return unsupported("a product that has no parts of the size that a dispatch can bind");
  }

  Result<void> dispatch(GemmCall g) {
    const auto narrow = [&](KernelBinding& binding, int64_t span, int64_t& start) {
      if (fits(binding)) return;
      const Range range = range_of(binding, span, start);
      binding.storage = ctx_.window(binding.storage, static_cast<uint64_t>(range.offset),
                                    static_cast<uint64_t>(range.bytes));
      binding.count = static_cast<uint64_t>(range.start + span);
      start = range.start;
    };
    narrow(g.a, span_a(g), g.a_start);
    narrow(g.b, span_b(g), g.b_start);
    g.epilogue = false;
    return dispatch_gemm(ctx_, std::move(g));
  }

  /// The part of y that begins at an element, as a binding.
  KernelBinding result(const GemmCall& g, int64_t y_start) {
    KernelBinding y = g.y;
    const int64_t count = count_of(g);
    if (count == static_cast<int64_t>(y.count)) return y;
    const int64_t bits = bits_of(y);
    y.storage = ctx_.window(y.storage, static_cast<uint64_t>(y_start * bits / 8),
                            static_cast<uint64_t>((count * bits + 7) / 8));
    y.count = static_cast<uint64_t>(count);
    return y;
  }

  Result<void> emit(GemmCall g, int64_t y_start) {
    g.y = result(g, y_start);
    return dispatch(std::move(g));
  }

  /// Products over ranges of the depth, added up.
  Result<void> depth(const GemmCall& g, int64_t y_start) {
    const auto change = [](GemmCall& one, int64_t first, int64_t length) {
      one.a_start += first * one.a_col;
      one.b_start += first * one.b_row;
      one.k = length;
    };
    QUERN_ASSIGN(const int64_t length, longest(g, g.k, change));
    std::vector<Storage> sums;
    for (int64_t first = 0; first < g.k; first += length) {
      GemmCall one = g;
      change(one, first, std::min(length, g.k - first));
      QUERN_ASSIGN(one.y, scratch(count_of(one)));
      sums.push_back(one.y.storage);
      QUERN_TRY(dispatch(std::move(one)));
      const bool is_last = first + length >= g.k;
      if (sums.size() < kMaxParts && !is_last) continue;
      KernelBinding to = result(g, y_start);
      if (!is_last) {
        QUERN_ASSIGN(to, scratch(count_of(g)));
      }
      DeviceProgram program({count_of(g)});
      std::vector<uint32_t> inputs;
      for (Storage s : sums) inputs.push_back(program.input(DType::kF32, {count_of(g)}, s));
      ExprBuilder b = program.builder();
      const Expr at[] = {b.index(0)};
      Expr sum = b.load(inputs[0], at);
      for (size_t i = 1; i < inputs.size(); ++i) sum = b.add(sum, b.load(inputs[i], at));
      program.output(sum, to.dtype, to.storage);
      QUERN_TRY(program.dispatch(ctx_));
      sums = {to.storage};
    }
    return {};
  }

  /// Products with ranges of the columns, put side by side.
  Result<void> columns(const GemmCall& g, int64_t y_start) {
    const auto change = [](GemmCall& one, int64_t first, int64_t length) {
      one.b_start += first * one.b_col;
      one.n = length;
    };
    QUERN_ASSIGN(const int64_t length, longest(g, g.n, change));
    if (static_cast<size_t>((g.n + length - 1) / length) > kMaxParts) return no_parts();
    const int64_t rows = count_of(g) / g.n;
    DeviceProgram program({rows, g.n});
    std::vector<uint32_t> inputs;
    for (int64_t first = 0; first < g.n; first += length) {
      GemmCall one = g;
      change(one, first, std::min(length, g.n - first));
      QUERN_ASSIGN(one.y, scratch(rows * one.n));
      inputs.push_back(program.input(DType::kF32, {rows, one.n}, one.y.storage));
      QUERN_TRY(dispatch(std::move(one)));
    }
    ExprBuilder b = program.builder();
    Expr start = b.i32(0);
    Expr value;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Expr at[] = {b.index(0), b.sub(b.index(1), start)};
      const Expr one = b.load(inputs[i], at);
      value = i == 0 ? one : b.select(b.lt(b.index(1), start), value, one);
      start = b.add(start, DeviceProgram::extent(b, inputs[i], 1));
    }
    const KernelBinding to = result(g, y_start);
    program.output(value, to.dtype, to.storage);
    return program.dispatch(ctx_);
  }

  /// The longest range of an axis of `size` that a dispatch can bind anywhere.
  template <class F>
  Result<int64_t> longest(const GemmCall& g, int64_t size, F&& change) {
    for (int64_t length = (size + 1) / 2; length > 0; length = length == 1 ? 0 : (length + 1) / 2) {
      bool fit = true;
      for (int64_t first = 0; first < size && fit; first += length) {
        GemmCall one = g;
        change(one, first, std::min(length, size - first));
        fit = fits_span(one.a, span_a(one), one.a_start) &&
              fits_span(one.b, span_b(one), one.b_start);
      }
      if (fit) return length;
    }
    return no_parts();
  }

  Result<KernelBinding> scratch(int64_t count) {
    QUERN_ASSIGN(const Storage s, ctx_.scratch(static_cast<uint64_t>(count) * 4));
    return KernelBinding{"y", s, DType::kF32, static_cast<uint64_t>(count)};
  }

  LowerContext& ctx_;
  int64_t limit_;
};

/// y = x + beta * c over rows and columns.
Result<void> add_scaled(LowerContext& ctx, const GemmCall& g, Storage x, int64_t rows) {
  DeviceProgram program({rows, g.n});
  const uint32_t product = program.input(DType::kF32, {rows, g.n}, x);
  const uint32_t addend =
      program.input(g.c->dtype, {static_cast<int64_t>(g.c->count)}, g.c->storage);
  ExprBuilder b = program.builder();
  const Expr at[] = {b.index(0), b.index(1)};
  const Expr row = b.mul(b.index(0), b.param(Scalar::kI32, g.c_row));
  const Expr column = b.mul(b.index(1), b.param(Scalar::kI32, g.c_col));
  const Expr c[] = {b.add(row, column)};
  const Expr value = b.load(addend, c);
  program.output(b.add(b.load(product, at), b.mul(value, b.number(value, g.beta))), g.y.dtype,
                 g.y.storage);
  return program.dispatch(ctx);
}

}  // namespace

Result<void> dispatch_product(LowerContext& ctx, GemmCall g) {
  Product product(ctx);
  if (product.fits(g.a) && product.fits(g.b) && product.fits(g.y) && (!g.c || product.fits(*g.c))) {
    return dispatch_gemm(ctx, std::move(g));
  }
  if (g.y.count == 0 || g.k == 0) return unsupported("a product over nothing");
  g.batch = collapse_batch(std::move(g.batch));
  if (!g.c) return product.part(g, 0);
  GemmCall bare = g;
  bare.c.reset();
  QUERN_ASSIGN(const Storage x, ctx.scratch(g.y.count * 4));
  bare.y = {"y", x, DType::kF32, g.y.count};
  QUERN_TRY(product.part(bare, 0));
  return add_scaled(ctx, g, x, g.m);
}

}  // namespace quern
