// EyeLike: a matrix of the input's shape with ones on a diagonal.
#include <algorithm>

#include "ops/common/cast.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"dtype", AttributeKind::kInt},
                                          {"k", AttributeKind::kInt}};

}  // namespace

extern const OpDef op_eye_like;
const OpDef op_eye_like = {
    .name = "EyeLike",
    .since = 9,
    .attributes = kAttributes,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_TRY(c.expect_rank(0, 2));
      QUERN_ASSIGN(DType dtype, type_attribute(c.node(), "dtype", c.dtype(0)));
      c.set(0, dtype, c.type(0).shape);
      return {};
    },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      const int64_t k = std::clamp<int64_t>(c.node().int_or("k", 0), -INT32_MAX / 2, INT32_MAX / 2);
      const Scalar type = compute_type(c.output(0).dtype);
      const Expr on = c.b.eq(c.b.add(c.index(0), c.b.i32(k)), c.index(1));
      return c.b.select(on, c.b.constant_int(type, 1), c.b.constant_int(type, 0));
    },
};

}  // namespace quern
