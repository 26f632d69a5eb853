// Gelu: x / 2 * (1 + erf(x / sqrt(2))), or its approximation by tanh.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"approximate", AttributeKind::kString}};

}  // namespace

extern const OpDef op_gelu;
const OpDef op_gelu = {
    .name = "Gelu",
    .since = 20,
    .types = kFloats,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = infer_same,
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr x, c.load_broadcast(0));
      const std::string_view approximate = c.node().string_or("approximate", "none");
      if (approximate == "tanh") return gelu_tanh(c.b, x);
      if (approximate != "none") {
        return c.error(cat("approximate is '", approximate, "', not 'none' or 'tanh'"));
      }
      return gelu(c.b, x);
    },
};

}  // namespace quern
