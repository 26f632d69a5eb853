// BlackmanWindow: 0.42 - 0.5 cos(2 pi n / N) + 0.08 cos(4 pi n / N).
#include "ops/common/window_function.h"

namespace quern {

extern const OpDef op_blackman_window;
const OpDef op_blackman_window = {
    .name = "BlackmanWindow",
    .since = 17,
    .types = types_of(DType::kI32, DType::kI64),
    .attributes = kWindowAttributes,
    .host_inputs = 0b1,
    .infer = infer_window,
    .expr = [](ExprContext& c, size_t) { return window_expr(c, 0, 0.36, 0.64); },
};

}  // namespace quern
