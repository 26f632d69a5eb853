// quern.SortedLookup: where each element is in a sorted list of distinct keys: its position, or the
// number of keys where it is not there. A binary search, unrolled, as the number of keys is fixed.
// `nan_index`: what NaN gives, which is not in the list.
#include <bit>

#include "ops/common/exprs.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"nan_index", AttributeKind::kInt}};

Result<void> infer(InferContext& c) {
  c.set(0, DType::kI32, c.shape(0) != nullptr ? std::optional(*c.shape(0)) : std::nullopt);
  return c.expect_rank(1, 1);
}

Result<Expr> lookup(ExprContext& c, size_t) {
  if (!c.input(1).is_baked(0)) return c.error("the number of keys must be fixed");
  const int64_t count = c.input(1).dims[0];
  QUERN_ASSIGN(const Expr x, c.load(0, c.indices()));
  const auto key = [&](Expr at) -> Result<Expr> {
    const Expr inside[] = {c.b.max(c.b.min(at, c.b.i32(count - 1)), c.b.i32(0))};
    return c.load(1, inside);
  };
  Expr below = c.b.i32(0);  // so many keys are known to be smaller
  Expr found = c.b.i32(count);
  if (count > 0) {
    for (auto step = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(count))); step > 0;
         step /= 2) {
      const Expr next = c.b.add(below, c.b.i32(step));
      QUERN_ASSIGN(const Expr before, key(c.b.sub(next, c.b.i32(1))));
      const Expr inside = c.b.lt(next, c.b.i32(count + 1));
      below = c.b.select(c.b.logical_and(inside, c.b.lt(before, x)), next, below);
    }
    QUERN_ASSIGN(const Expr here, key(below));
    found =
        c.b.select(c.b.logical_and(c.b.lt(below, c.b.i32(count)), c.b.eq(here, x)), below, found);
  }
  const int64_t nan_index = c.node().int_or("nan_index", count);
  if (!is_float(c.input(0).dtype) || nan_index == count) return found;
  return c.b.select(c.b.unary(ExprOp::kIsNan, x), c.b.i32(nan_index), found);
}

}  // namespace

extern const OpDef op_sorted_lookup;
const OpDef op_sorted_lookup = {
    .name = "SortedLookup",
    .domain = "quern",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .attributes = kAttributes,
    .infer = infer,
    .expr = lookup,
};

}  // namespace quern
