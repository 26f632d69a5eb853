// Dropout: the input as it is, and a mask of ones; dropping at random is not supported.
#include "ops/common/exprs.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"ratio", AttributeKind::kFloat},
                                          {"seed", AttributeKind::kInt}};

Result<void> infer_dropout(InferContext& c) {
  c.set(0, c.type(0));
  // The mask had the input's type before operator set 10.
  c.set(1, c.version() < 10 ? c.dtype(0) : DType::kBool, c.type(0).shape);
  return {};
}

Result<Expr> dropped(ExprContext& c, size_t output) {
  const std::vector<int64_t> training = c.ints(2);
  const HostTensor* ratio = c.host(1);
  const bool drops = ratio == nullptr || ratio->count() != 1 || ratio->float_at(0) != 0;
  if (training.size() == 1 && training[0] != 0 && drops) {
    return unsupported(cat(c.node().describe(), ": training mode is not supported"));
  }
  if (output == 0) return c.load(0, c.indices());
  return c.b.constant_int(compute_type(c.output(1).dtype), 1);
}

}  // namespace

extern const OpDef op_dropout;
const OpDef op_dropout = {
    .name = "Dropout",
    .max_inputs = 3,
    .max_outputs = 2,
    .types = kFloats | kFloat8,
    .attributes = kAttributes,
    .host_inputs = 0b110,
    .is_elementwise = true,
    .infer = infer_dropout,
    .expr = dropped,
};

}  // namespace quern
