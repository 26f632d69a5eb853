// RandomNormal: numbers of a normal distribution.
#include "ops/common/random.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"dtype", AttributeKind::kInt},
                                          {"mean", AttributeKind::kFloat},
                                          {"scale", AttributeKind::kFloat},
                                          {"seed", AttributeKind::kFloat},
                                          {"shape", AttributeKind::kInts, true}};

}  // namespace

extern const OpDef op_random_normal;
const OpDef op_random_normal = {
    .name = "RandomNormal",
    .min_inputs = 0,
    .max_inputs = 0,
    .types = kFloats,
    .attributes = kAttributes,
    .is_random = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(Shape shape, shape_attribute(c.node()));
      return infer_random(c, DType::kF32, std::move(shape));
    },
    .expr = random_normal_expr,
};

}  // namespace quern
