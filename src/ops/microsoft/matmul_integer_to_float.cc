// MatMulIntegerToFloat: MatMulInteger, scaled to float, plus a bias.
#include "ops/common/matmul.h"
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kA, kB, kAScale, kBScale, kAZero, kBZero, kBias };

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(std::optional<Shape> y, matmul_shape(ctx, kA, kB));
  ctx.set(0, ctx.dtype(kBScale), std::move(y));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  std::vector<Value*> inputs = {node.input(kA), node.input(kB), node.input(kAZero),
                                node.input(kBZero)};
  Value* sums = e.add("MatMulInteger", std::move(inputs));
  const auto type = static_cast<int64_t>(node.input(kBScale)->type.dtype);
  Value* a_scale = node.input(kAScale);
  const Type& a = node.input(kA)->type;
  if (a_scale->type.shape && a_scale->type.shape->size() == 1 && a.shape && a.shape->size() > 1) {
    a_scale = e.add("Reshape", {a_scale, e.ints({-1, 1})});  // one a row, perhaps
  }
  Value* scale = e.add("Mul", {a_scale, node.input(kBScale)});
  Value* y = e.add("Mul", {e.add("Cast", {sums}, {{"to", type}}), scale});
  if (node.input(kBias) != nullptr) y = e.add("Add", {y, node.input(kBias)});
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_matmul_integer_to_float;
const OpDef op_matmul_integer_to_float = {
    .name = "MatMulIntegerToFloat",
    .domain = "com.microsoft",
    .min_inputs = 4,
    .max_inputs = 7,
    .types = types_of(DType::kI8, DType::kU8),
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
