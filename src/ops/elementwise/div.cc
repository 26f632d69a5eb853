// Div: a / b; integers truncate.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// Truncation: floor_div where both signs are known, of constants in any case.
std::optional<Dim> divide(std::span<const Dim> d) {
  const bool positive = d[1].lower() > 0;
  if (positive && d[0].lower() >= 0) return floor_div(d[0], d[1]);
  if (positive && d[0].upper() <= 0) return 0 - floor_div(0 - d[0], d[1]);
  if (!d[0].is_const() || !d[1].is_const() || d[1].value() == 0) return std::nullopt;
  if (d[1].value() == -1) return 0 - d[0];
  return Dim(d[0].value() / d[1].value());
}

}  // namespace

extern const OpDef op_div;
const OpDef op_div = {
    .name = "Div",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c, divide); },
    .expr = binary_expr<ExprOp::kDiv>,
};

}  // namespace quern
