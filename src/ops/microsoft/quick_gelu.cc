// QuickGelu: x * sigmoid(alpha * x).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_quick_gelu;
const OpDef op_quick_gelu = {
    .name = "QuickGelu",
    .domain = "com.microsoft",
    .min_inputs = 1,
    .max_inputs = 1,
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const Expr alpha = attribute_number(c, "alpha", 1.702f, x);
      return c.b.mul(x, sigmoid(c.b, c.b.mul(alpha, x)));
    },
};

}  // namespace quern
