// HannWindow: (1 - cos(2 pi n / N)) / 2.
#include "ops/common/window_function.h"

namespace quern {

extern const OpDef op_hann_window;
const OpDef op_hann_window = {
    .name = "HannWindow",
    .since = 17,
    .types = types_of(DType::kI32, DType::kI64),
    .attributes = kWindowAttributes,
    .host_inputs = 0b1,
    .infer = infer_window,
    .expr = [](ExprContext& c, size_t) { return window_expr(c, 0, 1, 0); },
};

}  // namespace quern
