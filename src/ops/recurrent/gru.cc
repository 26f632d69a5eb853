// GRU: gated recurrent unit, one layer, one or two directions.
#include "ops/common/recurrent_shape.h"

namespace quern {

extern const OpDef op_gru;
const OpDef op_gru = {
    .name = "GRU",
    .min_inputs = 3,
    .max_inputs = 6,
    .min_outputs = 0,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kRecurrentAttributes,
    .infer = [](InferContext& ctx) { return infer_recurrent(ctx, gru_kind()); },
    .lower = [](LowerContext& ctx) { return lower_recurrent(ctx, gru_kind()); },
    .cpu_kernel = "gru",
};

}  // namespace quern
