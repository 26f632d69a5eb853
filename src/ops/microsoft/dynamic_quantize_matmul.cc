// DynamicQuantizeMatMul: a, quantised to 8 bits over its range, times a quantised b, as float.
#include "ops/common/matmul.h"
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kA, kB, kBScale, kBZero, kBias };

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(std::optional<Shape> y, matmul_shape(ctx, kA, kB));
  ctx.set(0, ctx.dtype(kA), std::move(y));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const std::vector<Value*> a = e.add_many("DynamicQuantizeLinear", {node.input(kA)}, 3);
  e.replace(0, e.add_in("com.microsoft", 1, "MatMulIntegerToFloat",
                        {a[0], node.input(kB), a[1], node.input(kBScale), a[2], node.input(kBZero),
                         node.input(kBias)}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_dynamic_quantize_matmul;
const OpDef op_dynamic_quantize_matmul = {
    .name = "DynamicQuantizeMatMul",
    .domain = "com.microsoft",
    .min_inputs = 3,
    .max_inputs = 5,
    .types = type_bit(DType::kF32),
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
