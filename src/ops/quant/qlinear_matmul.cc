// QLinearMatMul: the product of quantised operands, quantised: MatMulInteger and a change of
// scale, which fuse. Float8 operands (from version 21) are multiplied as f32.
#include "ops/common/expansion.h"
#include "ops/common/matmul.h"
#include "ops/common/types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kA, kAScale, kAZero, kB, kBScale, kBZero, kYScale, kYZero };

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(std::optional<Shape> y, matmul_shape(ctx, kA, kB));
  ctx.set(0, ctx.dtype(kYZero), std::move(y));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  const auto in = [&](size_t i) { return node.input(i); };
  const auto rank = [&](size_t i) { return in(i)->type.shape ? in(i)->type.shape->size() : 0; };
  if (!in(kA)->type.shape || !in(kB)->type.shape || !in(kAScale)->type.shape) {
    return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  }
  Expansion e(graph, node);
  // One scale a row of a.
  Value* a_scale = in(kAScale);
  if (rank(kAScale) == 1 && rank(kA) > 1 && rank(kB) > 1) {
    a_scale = e.add("Reshape", {a_scale, e.ints({-1, 1})});
  }
  Value* scale = e.add("Div", {e.add("Mul", {a_scale, in(kBScale)}), in(kYScale)});
  const auto is_integral = [&](size_t i) { return is_integer(in(i)->type.dtype); };
  if (is_integral(kA) && is_integral(kB) && is_integral(kYZero)) {
    Value* sums = e.add_in("", 10, "MatMulInteger", {in(kA), in(kB), in(kAZero), in(kBZero)});
    e.replace(0, e.add_in("quern", 1, "Requantize", {sums, scale, in(kYZero)}));
  } else {
    const auto f32 = [&](size_t i) {
      Value* wide = e.add("Cast", {in(i)}, {{"to", int64_t{1}}});
      return is_integral(i) ? e.add("Sub", {wide, e.add("Cast", {in(i + 2)}, {{"to", int64_t{1}}})})
                            : wide;
    };
    Value* product = e.add("MatMul", {f32(kA), f32(kB)});
    scale = e.add("Cast", {scale}, {{"to", int64_t{1}}});
    Value* y = e.add("Mul", {product, scale});
    e.replace(0, e.add("QuantizeLinear", {y, e.number(DType::kF32, 1), in(kYZero)}));
  }
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_qlinear_matmul;
const OpDef op_qlinear_matmul = {
    .name = "QLinearMatMul",
    .since = 10,
    .min_inputs = 8,
    .max_inputs = 8,
    .types = types_of(DType::kI8, DType::kU8) | kFloat8,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
