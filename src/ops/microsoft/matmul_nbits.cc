// MatMulNBits: a times a matrix b of 2, 4 or 8 bits an element, quantised in blocks along its rows,
// which are the result's columns. b stays packed: the kernels unpack it as they go.
#include "ops/common/gemm.h"
#include "ops/common/microsoft.h"
#include "ops/common/nbits.h"
#include "ops/op_def.h"

namespace quern {
namespace {

using enum nbits::Input;

constexpr NBitsInputs kProduct = {kA, kB, kScales, kZeroPoints};

constexpr AttributeField kAttributes[] = {
    {"K", AttributeKind::kInt, true},          {"N", AttributeKind::kInt, true},
    {"accuracy_level", AttributeKind::kInt},   {"bits", AttributeKind::kInt},
    {"block_size", AttributeKind::kInt, true}, {"weight_prepacked", AttributeKind::kInt},
};

Result<void> infer(InferContext& ctx) {
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  const Shape* a = ctx.shape(kA);
  ctx.set(0, ctx.dtype(kA), std::nullopt);
  if (a == nullptr) return {};
  if (a->empty() || proven_equal(a->back(), q.k) == false) {
    return ctx.error(cat("a is ", *a, " where K is ", q.k));
  }
  QUERN_TRY(check_nbits(ctx, q, kProduct));
  const auto has_count = [&](size_t i, int64_t count) {
    return ctx.shape(i) == nullptr || proven_equal(element_count(*ctx.shape(i)), count) != false;
  };
  if (ctx.has_input(kGroupIndex) && !has_count(kGroupIndex, q.k) &&
      !has_count(kGroupIndex, q.blocks() * q.block)) {
    return ctx.error("g_idx doesn't fit");
  }
  if (ctx.has_input(kBias) && !has_count(kBias, q.n)) return ctx.error("bias doesn't fit");
  Shape y = *a;
  y.back() = q.n;
  ctx.set(0, ctx.dtype(kA), std::move(y));
  return {};
}

/// The general form.
Result<Expr> expr(ExprContext& ctx, size_t) {
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  QUERN_ASSIGN(const Expr sum, nbits_expr(ctx, q, kProduct));
  if (!ctx.has_input(kBias)) return sum;
  const Expr at_bias[] = {ctx.index(ctx.input(kA).rank() - 1)};
  QUERN_ASSIGN(Expr bias, ctx.load(kBias, at_bias));
  return ctx.b.add(sum, bias);
}

/// Where g_idx says which block's scale each row of b has, b is unpacked first.
Result<bool> expand(Graph& graph, Node& node) {
  Value* group = node.input(kGroupIndex);
  if (group == nullptr) return false;
  QUERN_ASSIGN(const NBits q, read_nbits(node));
  Expansion e(graph, node, kExpansionOpset);
  const DType type = node.input(kA)->type.dtype;
  const double middle = 1 << (q.bits - 1);
  // Rows of packed codes as numbers less the middle one.
  const auto unpacked = [&](Value* codes) {
    Value* one = e.add("Reshape", {e.number(type, 1), e.ints({1, 1, 1})});
    Value* rows = e.add("Reshape", {codes, e.ints({1, q.n, -1})});
    Value* numbers =
        e.add_in("com.microsoft", 1, "GatherBlockQuantized", {rows, e.integer(0), one},
                 {{"bits", q.bits}, {"block_size", int64_t{0}}, {"quantize_axis", int64_t{2}}});
    return numbers;
  };
  const auto columns = [&](Value* v, int64_t count) {
    return e.add("Slice", {v, e.ints({0}), e.ints({count}), e.ints({1})});
  };
  const auto of_rows = [&](Value* v) {
    v = e.add("Reshape", {v, e.ints({q.n, q.blocks()})});
    return e.add("Gather", {v, group}, {{"axis", int64_t{1}}});
  };
  group = e.add("Slice", {group, e.ints({0}), e.ints({q.k}), e.ints({0})});
  Value* b = columns(unpacked(node.input(kB)), q.k);
  if (Value* zero = node.input(kZeroPoints)) {
    zero = is_float(zero->type.dtype) ? e.add("Sub", {zero, e.number(type, middle)})
                                      : columns(unpacked(zero), q.blocks());
    b = e.add("Sub", {b, of_rows(zero)});
  }
  b = e.add("Mul", {b, of_rows(node.input(kScales))});
  Value* y = e.add("MatMul", {node.input(kA), e.add("Transpose", {b})});
  if (node.input(kBias) != nullptr) y = e.add("Add", {y, node.input(kBias)});
  e.replace(0, y);
  e.finish();
  return true;
}

Result<void> lower(LowerContext& ctx) {
  QUERN_ASSIGN(const NBits q, read_nbits(ctx.node()));
  for (size_t i = kA; i <= kBias; ++i) {
    if (ctx.has_input(i)) QUERN_TRY(check_u32(ctx, ctx.input(i).count()));
  }
  std::optional<KernelBinding> bias;
  if (ctx.has_input(kBias)) bias = ctx.bind_in("bias", kBias);
  return dispatch_nbits(ctx, q, kProduct, ctx.bind_in("a", kA), bias, ctx.bind_out("y", 0), true);
}

}  // namespace

extern const OpDef op_matmul_nbits;
const OpDef op_matmul_nbits = {
    .name = "MatMulNBits",
    .domain = "com.microsoft",
    .min_inputs = 3,
    .max_inputs = 6,
    .types = kFloats,
    .attributes = kAttributes,
    .takes_epilogue = true,
    .infer = infer,
    .expr = expr,
    .lower = lower,
    .expand = expand,
    .cpu_kernel = "matmul_nbits",
};

}  // namespace quern
