// Mod: the remainder, with the sign of the divisor, or of the dividend where fmod is 1.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"fmod", AttributeKind::kInt}};

/// The two kinds agree where the signs do.
std::optional<Dim> remainder(std::span<const Dim> d) {
  if (d[1].lower() > 0 && d[0].lower() >= 0) return floor_mod(d[0], d[1]);
  return std::nullopt;
}

}  // namespace

extern const OpDef op_mod;
const OpDef op_mod = {
    .name = "Mod",
    .since = 10,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kNumeric,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c, remainder); },
    .expr =
        [](ExprContext& c, size_t) {
          return binary_expr(c, c.node().int_or("fmod", 0) != 0 ? ExprOp::kRem : ExprOp::kMod);
        },
};

}  // namespace quern
