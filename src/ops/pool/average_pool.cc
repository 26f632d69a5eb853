// AveragePool: the mean of each window, over its elements inside or, with count_include_pad, over
// those inside the padded input.
#include "ops/common/pool_window.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"auto_pad", AttributeKind::kString},
    {"ceil_mode", AttributeKind::kInt},
    {"count_include_pad", AttributeKind::kInt},
    {"dilations", AttributeKind::kInts},
    {"kernel_shape", AttributeKind::kInts, true},
    {"pads", AttributeKind::kInts},
    {"strides", AttributeKind::kInts},
};

Result<Expr> expr(ExprContext& ctx, size_t) {
  ExprBuilder& b = ctx.b;
  QUERN_ASSIGN(PoolWindow window, pool_window(ctx));
  const bool padded = ctx.node().int_or("count_include_pad", 0) != 0;
  QUERN_ASSIGN(Expr sum,
               sum_of_taps(ctx, window, [](ExprBuilder&, Expr x, double) { return x; }, 0));
  Expr count = b.i32(1);
  for (size_t i = 0; i < window.rank(); ++i) {
    const Expr inside = b.add(b.sub(window.last[i], window.first[i]), b.i32(1));
    count = b.mul(count, b.max(padded ? window.padded[i] : inside, b.i32(1)));
  }
  return b.div(sum, b.cast(count, b.type_of(sum)));
}

}  // namespace

extern const OpDef op_average_pool;
const OpDef op_average_pool = {
    .name = "AveragePool",
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer_pool,
    .expr = expr,
};

}  // namespace quern
