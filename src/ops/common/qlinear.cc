#include "ops/common/qlinear.h"

#include "ops/common/infer.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// Axes of a tensor with channels last in the order of one with channels at axis 1, or back.
std::vector<int64_t> channel_order(size_t rank, bool to_first) {
  std::vector<int64_t> order = {0};
  if (to_first) order.push_back(static_cast<int64_t>(rank) - 1);
  for (size_t i = to_first ? 1 : 2; i < rank - (to_first ? 1 : 0); ++i) {
    order.push_back(static_cast<int64_t>(i));
  }
  if (!to_first) order.push_back(1);
  return order;
}

Shape permuted(const Shape& shape, const std::vector<int64_t>& order) {
  Shape out;
  for (int64_t i : order) out.push_back(shape[static_cast<size_t>(i)]);
  return out;
}

/// Zero points before them may be absent.
Result<void> require_inputs(const InferContext& ctx, std::initializer_list<size_t> inputs) {
  for (size_t i : inputs) {
    if (!ctx.has_input(i)) return ctx.error(cat("required input ", i, " is absent"));
  }
  return {};
}

}  // namespace

Value* add_dequantized(Expansion& e, const Node& node, size_t at) {
  std::vector<Value*> inputs = {node.input(at), node.input(at + 1)};
  if (node.input(at + 2) != nullptr) inputs.push_back(node.input(at + 2));
  return e.add("DequantizeLinear", std::move(inputs));
}

Value* add_quantized(Expansion& e, const Node& node, Value* x, size_t scale) {
  std::vector<Value*> inputs = {x, node.input(scale)};
  if (node.input(scale + 1) != nullptr) inputs.push_back(node.input(scale + 1));
  return e.add("QuantizeLinear", std::move(inputs),
               {{"output_dtype", static_cast<int64_t>(node.outputs[0]->type.dtype)}});
}

Result<void> infer_qlinear_same(InferContext& ctx) {
  QUERN_TRY(require_inputs(ctx, {3}));
  ctx.set(0, ctx.type(0));
  return {};
}

Result<void> infer_qlinear_binary(InferContext& ctx) {
  QUERN_TRY(require_inputs(ctx, {3, 4, 6}));
  ctx.set(0, ctx.dtype(0), std::nullopt);
  if (ctx.shape(0) == nullptr || ctx.shape(3) == nullptr) return {};
  auto y = broadcast_shapes(*ctx.shape(0), *ctx.shape(3));
  if (!y) return ctx.error(std::move(y).error().message);
  ctx.set(0, ctx.dtype(0), *std::move(y));
  return {};
}

Result<bool> expand_qlinear_binary(Graph& graph, Node& node, std::string_view op) {
  Expansion e(graph, node, kExpansionOpset);
  Value* y = e.add(std::string(op), {add_dequantized(e, node, 0), add_dequantized(e, node, 3)});
  e.replace(0, add_quantized(e, node, y, 6));
  e.finish();
  return true;
}

Result<bool> expand_qlinear_unary(Graph& graph, Node& node, std::string_view op,
                                  std::initializer_list<std::string_view> attributes) {
  Expansion e(graph, node, kExpansionOpset);
  Value* y = e.add(std::string(op), {add_dequantized(e, node, 0)});
  for (std::string_view name : attributes) {
    if (const AttributeValue* value = node.attribute(name)) {
      y->producer->attributes[std::string(name)] = *value;
    }
  }
  e.replace(0, add_quantized(e, node, y, 3));
  e.finish();
  return true;
}

Result<void> infer_qlinear_pool(InferContext& ctx, std::string_view op) {
  QUERN_TRY(require_inputs(ctx, {3}));
  ctx.set(0, ctx.dtype(0), std::nullopt);
  const Shape* x = ctx.shape(0);
  if (x == nullptr) return {};
  if (x->size() < 3) return ctx.error(cat("input ", *x, " has no spatial axis"));
  const bool last = ctx.node().int_or("channels_last", 0) != 0;
  std::vector<InferContext::Input> inputs(1);
  inputs[0] = {
      .type = Type::tensor(DType::kF32, last ? permuted(*x, channel_order(x->size(), true)) : *x),
      .present = true};
  InferContext plain(ctx.node(), std::move(inputs));
  QUERN_TRY(find_op(op, "", kExpansionOpset)->infer(plain));
  Shape y = *plain.outputs()[0].type.shape;
  ctx.set(0, ctx.dtype(0), last ? permuted(y, channel_order(y.size(), false)) : y);
  return {};
}

Result<bool> expand_qlinear_pool(Graph& graph, Node& node, std::string_view op) {
  const Type& type = node.input(0)->type;
  if (!type.shape) return unsupported(cat(node.describe(), ": an input of unknown rank"));
  Expansion e(graph, node, kExpansionOpset);
  const bool last = node.int_or("channels_last", 0) != 0;
  const auto transposed = [&](Value* v, bool to_first) {
    if (!last) return v;
    return e.add("Transpose", {v}, {{"perm", channel_order(type.shape->size(), to_first)}});
  };
  Value* y = e.add(std::string(op), {transposed(add_dequantized(e, node, 0), true)});
  y->producer->attributes = node.attributes;
  y->producer->attributes.erase("channels_last");
  e.replace(0, add_quantized(e, node, transposed(y, false), 3));
  e.finish();
  return true;
}

}  // namespace quern
