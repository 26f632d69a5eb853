// QGemm: alpha times the product of two quantised matrices, plus a bias in the product's scale;
// quantised again where a scale for it is given, else float.
#include "ops/common/microsoft.h"
#include "ops/common/qlinear.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"alpha", AttributeKind::kFloat},
    {"transA", AttributeKind::kInt},
    {"transB", AttributeKind::kInt},
};

enum Input : size_t { kA, kAScale, kAZero, kB, kBScale, kBZero, kC, kYScale, kYZero };

Result<void> infer(InferContext& ctx) {
  const bool quantised = ctx.has_input(kYScale);
  const DType type = quantised ? ctx.dtype(kA) : ctx.dtype(kAScale);
  ctx.set(0, type, std::nullopt);
  QUERN_TRY(ctx.expect_rank(kA, 2));
  QUERN_TRY(ctx.expect_rank(kB, 2));
  const Shape* a = ctx.shape(kA);
  const Shape* b = ctx.shape(kB);
  if (a == nullptr || b == nullptr) return {};
  const size_t ta = ctx.node().int_or("transA", 0) != 0 ? 1 : 0;
  const size_t tb = ctx.node().int_or("transB", 0) != 0 ? 1 : 0;
  if (proven_equal((*a)[1 - ta], (*b)[tb]) == false) {
    return ctx.error(cat("inner extents differ: ", *a, " x ", *b));
  }
  ctx.set(0, type, Shape{(*a)[ta], (*b)[1 - tb]});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  const auto operand = [&](size_t input, const char* attribute) {
    Value* v = node.input(input);
    if (node.int_or(attribute, 0) == 0) return v;
    return e.add("Transpose", {v}, {{"perm", std::vector<int64_t>{1, 0}}});
  };
  // Zero points of one element are for all rows or columns.
  const auto zero = [&](size_t input) {
    Value* v = node.input(input);
    const bool one = v != nullptr && v->type.shape && element_count(*v->type.shape) == Dim(1);
    return one ? e.add("Reshape", {v, e.ints({})}) : v;
  };
  Value* y = e.add("MatMulInteger",
                   {operand(kA, "transA"), operand(kB, "transB"), zero(kAZero), zero(kBZero)});
  if (node.input(kC) != nullptr) y = e.add("Add", {y, node.input(kC)});
  const DType type = node.input(kAScale)->type.dtype;
  Value* scale = e.add("Mul", {node.input(kAScale), node.input(kBScale)});
  const float alpha = node.float_or("alpha", 1);
  if (alpha != 1) scale = e.add("Mul", {scale, e.number(type, alpha)});
  y = e.add("Mul", {e.add("Cast", {y}, {{"to", static_cast<int64_t>(type)}}), scale});
  e.replace(0, node.input(kYScale) != nullptr ? add_quantized(e, node, y, kYScale) : y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_qgemm;
const OpDef op_qgemm = {
    .name = "QGemm",
    .domain = "com.microsoft",
    .min_inputs = 6,
    .max_inputs = 9,
    .types = types_of(DType::kI8, DType::kU8),
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
