// RandomUniformLike: numbers evenly between low and high, in the shape of the input.
#include "ops/common/random.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"dtype", AttributeKind::kInt},
    {"high", AttributeKind::kFloat},
    {"low", AttributeKind::kFloat},
    {"seed", AttributeKind::kFloat},
};

}  // namespace

extern const OpDef op_random_uniform_like;
const OpDef op_random_uniform_like = {
    .name = "RandomUniformLike",
    .types = kMovableTypes,
    .attributes = kAttributes,
    .is_random = true,
    .infer = [](InferContext& c) -> Result<void> {
      const DType type = c.dtype(0);
      const bool is_float = (type_bit(type) & kFloats) != 0;
      return infer_random(c, is_float ? type : DType::kF32, c.type(0).shape);
    },
    .expr = random_uniform_expr,
};

}  // namespace quern
