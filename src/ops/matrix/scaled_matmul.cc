// quern.MatMul: MatMul with transposed operands (transA, transB) and a factor (alpha), made by
// expansions.
#include "ops/matrix/matmul_ops.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"alpha", AttributeKind::kFloat},
    {"transA", AttributeKind::kInt},
    {"transB", AttributeKind::kInt},
};

}  // namespace

extern const OpDef op_scaled_matmul;
const OpDef op_scaled_matmul = {
    .name = "MatMul",
    .domain = "quern",
    .since = 0,
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer_matmul,
    .expr = matmul_expr,
    .lower = lower_matmul,
    .cpu_kernel = "matmul",
};

}  // namespace quern
