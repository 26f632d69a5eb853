// CumProd: the product of the elements up to each one along an axis.
#include "ops/common/prefix_scan.h"

namespace quern {

extern const OpDef op_cum_prod;
const OpDef op_cum_prod = {
    .name = "CumProd",
    .since = 26,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kScanTypes,
    .attributes = kScanAttributes,
    .host_inputs = 0b10,
    .infer = infer_scan,
    .lower = [](LowerContext& ctx) { return lower_scan(ctx, true); },
    .eval = [](EvalContext& c) { return eval_scan(c, true); },
    .cpu_kernel = "cum_prod",
};

}  // namespace quern
