#include "ops/common/gated.h"

#include <algorithm>

#include "ops/common/exprs.h"

namespace quern {
namespace {

struct Config {
  bool vec = false;
  template <class F>
  void fields(F&& f) const {
    f("VEC", uint32_t{vec});
  }
};

/// Bytes of a product that waits for the other one.
constexpr int64_t kMostBetween = 32 << 20;
/// Rows of any length begin where memory can be bound from.
constexpr int64_t kRowStep = 256;

/// Elements of a tensor from `first` on, which is a multiple of kRowStep.
KernelBinding range_of(LowerContext& ctx, KernelBinding whole, int64_t first, int64_t count) {
  const auto of = [&](int64_t n) { return byte_size(whole.dtype, static_cast<uint64_t>(n)); };
  whole.storage = ctx.window(whole.storage, of(first), of(count));
  whole.count = static_cast<uint64_t>(count);
  return whole;
}

}  // namespace

Expr gated(ExprBuilder& b, Expr gate, Expr up) { return b.mul(b.mul(gate, sigmoid(b, gate)), up); }

Result<void> dispatch_gated(LowerContext& ctx, const GateProduct& product) {
  const KernelBinding a = ctx.bind_in("a", 0);
  const KernelBinding y = ctx.bind_out("y", 0);
  const int64_t k = ctx.input(0).dims.back();
  const int64_t n = ctx.output(0).dims.back();
  const int64_t rows = ctx.output(0).count() / n;
  const bool is_large = byte_size(y.dtype, y.count) > ctx.target().max_binding_bytes;
  const int64_t step = std::max(kMostBetween / (n * 4) / kRowStep, int64_t{1}) * kRowStep;
  KernelBinding parts[2];
  for (KernelBinding& part : parts) {
    const auto count = static_cast<uint64_t>(std::min(step, rows) * n);
    QUERN_ASSIGN(const Storage storage, ctx.scratch(count * 4));
    part = {"y", storage, DType::kF32, count};
  }
  for (int64_t first = 0; first < rows; first += step) {
    const int64_t here = std::min(step, rows - first);
    const KernelBinding some = rows <= step ? a : range_of(ctx, a, first * k, here * k);
    for (KernelBinding& part : parts) part.count = static_cast<uint64_t>(here * n);
    QUERN_TRY(product(true, some, parts[0]));
    QUERN_TRY(product(false, some, parts[1]));
    KernelCall call;
    const bool vec = n % 4 == 0;
    const int64_t items = here * n / (vec ? 4 : 1);
    // The epilogue goes by elements of all of y; where that is too large to bind there is none.
    call.bindings = {parts[0], parts[1], is_large ? range_of(ctx, y, first * n, here * n) : y};
    call.bindings[0].name = "gate";
    call.bindings[1].name = "up";
    call.kernel = "gate";
    call.config = config_of(Config{vec});
    call.epilogue_at = "y";
    call.stores_fours = vec;
    call.params = {static_cast<uint32_t>(items),
                   static_cast<uint32_t>(is_large ? 0 : first * n / (vec ? 4 : 1))};
    call.workgroups = split_workgroups(static_cast<uint64_t>((items + 63) / 64), ctx.target());
    QUERN_TRY(ctx.dispatch(std::move(call)));
  }
  return {};
}

}  // namespace quern
