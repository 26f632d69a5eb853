// Where: of two values, the first where the condition holds.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/movement.h"
#include "ops/op_def.h"

namespace quern {
namespace {

std::optional<Dim> choose(std::span<const Dim> d) {
  if (d[0].is_const()) return d[0].value() != 0 ? d[1] : d[2];
  if (d[1] == d[2]) return d[1];
  return std::nullopt;
}

}  // namespace

extern const OpDef op_where;
const OpDef op_where = {
    .name = "Where",
    .since = 9,
    .min_inputs = 3,
    .max_inputs = 3,
    .types = type_bit(DType::kBool),
    .is_elementwise = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_TRY(expect_same_type(c, 1, 2));
      QUERN_ASSIGN(std::optional<Shape> shape, broadcast_inputs(c));
      c.set(0, c.dtype(1), std::move(shape));
      set_broadcast_contents(c, choose);
      return {};
    },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr condition, c.load_broadcast(0));
      QUERN_ASSIGN(Expr x, c.load_broadcast(1));
      QUERN_ASSIGN(Expr y, c.load_broadcast(2));
      return c.b.select(condition, x, y);
    },
    .eval = eval_moved,
};

}  // namespace quern
