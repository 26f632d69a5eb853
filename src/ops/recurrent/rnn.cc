// RNN: simple recurrence, one layer, one or two directions.
#include "ops/common/recurrent_shape.h"

namespace quern {

extern const OpDef op_rnn;
const OpDef op_rnn = {
    .name = "RNN",
    .min_inputs = 3,
    .max_inputs = 6,
    .min_outputs = 0,
    .max_outputs = 2,
    .types = kFloats,
    .attributes = kRecurrentAttributes,
    .infer = [](InferContext& ctx) { return infer_recurrent(ctx, rnn_kind()); },
    .lower = [](LowerContext& ctx) { return lower_recurrent(ctx, rnn_kind()); },
    .cpu_kernel = "rnn",
};

}  // namespace quern
