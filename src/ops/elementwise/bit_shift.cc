// BitShift: by a number of bits; what is shifted out is lost. Shifting by a negative number, or
// past the width, leaves 0, or the sign where a negative number is shifted right.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"direction", AttributeKind::kString, true}};

Result<Expr> shifted(ExprContext& c, size_t) {
  const std::string_view direction = c.node().string_or("direction", "");
  if (direction != "LEFT" && direction != "RIGHT") {
    return c.error(cat("direction is '", direction, "', not 'LEFT' or 'RIGHT'"));
  }
  QUERN_ASSIGN(Expr x, c.load_broadcast(0));
  QUERN_ASSIGN(Expr by, c.load_broadcast(1));
  if (is_signed_int(c.input(1).dtype)) {
    by = c.b.select(c.b.lt(by, zero(c.b, by)), c.b.number(by, 64), by);
  }
  return c.b.binary(direction == "LEFT" ? ExprOp::kShl : ExprOp::kShr, x, by);
}

}  // namespace

extern const OpDef op_bit_shift;
const OpDef op_bit_shift = {
    .name = "BitShift",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kInts,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c); },
    .expr = shifted,
};

}  // namespace quern
