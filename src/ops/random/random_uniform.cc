// RandomUniform: numbers evenly between low and high.
#include "ops/common/random.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"dtype", AttributeKind::kInt},
                                          {"high", AttributeKind::kFloat},
                                          {"low", AttributeKind::kFloat},
                                          {"seed", AttributeKind::kFloat},
                                          {"shape", AttributeKind::kInts, true}};

}  // namespace

extern const OpDef op_random_uniform;
const OpDef op_random_uniform = {
    .name = "RandomUniform",
    .min_inputs = 0,
    .max_inputs = 0,
    .types = kFloats,
    .attributes = kAttributes,
    .is_random = true,
    .infer = [](InferContext& c) -> Result<void> {
      QUERN_ASSIGN(Shape shape, shape_attribute(c.node()));
      return infer_random(c, DType::kF32, std::move(shape));
    },
    .expr = random_uniform_expr,
};

}  // namespace quern
