// HammingWindow: (25 - 21 cos(2 pi n / N)) / 46.
#include "ops/common/window_function.h"

namespace quern {

extern const OpDef op_hamming_window;
const OpDef op_hamming_window = {
    .name = "HammingWindow",
    .since = 17,
    .types = types_of(DType::kI32, DType::kI64),
    .attributes = kWindowAttributes,
    .host_inputs = 0b1,
    .infer = infer_window,
    .expr = [](ExprContext& c, size_t) { return window_expr(c, 4.0 / 46, 42.0 / 46, 0); },
};

}  // namespace quern
