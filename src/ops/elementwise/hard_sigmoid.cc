// HardSigmoid: max(0, min(1, alpha * x + beta)).
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"alpha", AttributeKind::kFloat},
                                          {"beta", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_hard_sigmoid;
const OpDef op_hard_sigmoid = {
    .name = "HardSigmoid",
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      return hard_sigmoid(c.b, x, c.node().float_or("alpha", 0.2f),
                          c.node().float_or("beta", 0.5f));
    },
};

}  // namespace quern
