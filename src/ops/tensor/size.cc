// Size: the number of elements of a tensor.
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {

extern const OpDef op_size;
const OpDef op_size = {
    .name = "Size",
    .types = kAllTypes,
    .infer = [](InferContext& c) -> Result<void> {
      c.set(0, DType::kI64, Shape{});
      if (const Shape* shape = c.shape(0)) c.set_contents(0, {element_count(*shape)});
      return {};
    },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      bool baked = true;
      for (size_t a = 0; a < c.input(0).rank(); ++a) baked = baked && c.input(0).is_baked(a);
      return c.derived(c.input(0).count(), baked, Scalar::kI64);
    },
};

}  // namespace quern
