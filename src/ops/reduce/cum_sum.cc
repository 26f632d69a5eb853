// CumSum: the sum of the elements up to each one along an axis.
#include "ops/common/prefix_scan.h"

namespace quern {

extern const OpDef op_cum_sum;
const OpDef op_cum_sum = {
    .name = "CumSum",
    .since = 11,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kScanTypes,
    .attributes = kScanAttributes,
    .host_inputs = 0b10,
    .infer = infer_scan,
    .lower = [](LowerContext& ctx) { return lower_scan(ctx, false); },
    .eval = [](EvalContext& c) { return eval_scan(c, false); },
    .cpu_kernel = "cum_sum",
};

}  // namespace quern
