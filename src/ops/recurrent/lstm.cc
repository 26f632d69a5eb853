// LSTM: long short-term memory, one layer, one or two directions.
#include "ops/common/recurrent_shape.h"

namespace quern {

extern const OpDef op_lstm;
const OpDef op_lstm = {
    .name = "LSTM",
    .min_inputs = 3,
    .max_inputs = 8,
    .min_outputs = 0,
    .max_outputs = 3,
    .types = kFloats,
    .attributes = kRecurrentAttributes,
    .infer = [](InferContext& ctx) { return infer_recurrent(ctx, lstm_kind()); },
    .lower = [](LowerContext& ctx) { return lower_recurrent(ctx, lstm_kind()); },
    .cpu_kernel = "lstm",
};

}  // namespace quern
