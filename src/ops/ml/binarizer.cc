// Binarizer: 1 where an element is greater than a threshold, else 0.
#include "ops/common/infer.h"
#include "ops/common/ml.h"
#include "ops/common/reduce.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"threshold", AttributeKind::kFloat}};

}  // namespace

extern const OpDef op_binarizer;
const OpDef op_binarizer = {
    .name = "Binarizer",
    .domain = kMlDomain,
    .types = kFeatureTypes,
    .attributes = kAttributes,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_same(c); },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      ExprBuilder& b = c.b;
      QUERN_ASSIGN(const Expr x, c.load_broadcast(0));
      const Scalar type = b.type_of(x);
      const Scalar wide = type == Scalar::kF32 ? type : float_type_for(type);
      const Expr threshold = b.constant(wide, c.node().float_or("threshold", 0.0f));
      return b.cast(b.binary(ExprOp::kGt, b.cast(x, wide), threshold), type);
    },
};

}  // namespace quern
