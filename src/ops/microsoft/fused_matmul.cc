// FusedMatMul: MatMul with a factor and transposed operands: transA, transB swap the last two axes;
// transBatchA, transBatchB first move axis 0 to the place before the last one.
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"alpha", AttributeKind::kFloat},     {"transA", AttributeKind::kInt},
    {"transB", AttributeKind::kInt},      {"transBatchA", AttributeKind::kInt},
    {"transBatchB", AttributeKind::kInt},
};

bool has_batch_axis_last(const Node& node, size_t input, size_t rank) {
  return rank > 2 && node.int_or(input == 0 ? "transBatchA" : "transBatchB", 0) != 0;
}

/// Axes of an operand in the order of MatMul's.
std::vector<int64_t> order_of(const Node& node, size_t input, size_t rank) {
  std::vector<int64_t> order;
  for (size_t i = 0; i < rank; ++i) order.push_back(static_cast<int64_t>(i));
  if (has_batch_axis_last(node, input, rank)) {
    order.erase(order.begin());
    order.insert(order.end() - 1, 0);
  }
  return order;
}

Result<void> infer(InferContext& ctx) {
  if (ctx.shape(0) == nullptr || ctx.shape(1) == nullptr) {
    ctx.set(0, ctx.dtype(0), std::nullopt);
    return {};
  }
  // As MatMul of what the expansion makes of the operands.
  std::vector<InferContext::Input> inputs(2);
  for (size_t i = 0; i < 2; ++i) {
    Shape shape;
    for (int64_t axis : order_of(ctx.node(), i, ctx.shape(i)->size())) {
      shape.push_back((*ctx.shape(i))[static_cast<size_t>(axis)]);
    }
    inputs[i] = {.type = Type::tensor(ctx.dtype(i), std::move(shape)), .present = true};
  }
  InferContext plain(ctx.node(), std::move(inputs));
  QUERN_TRY(find_op("MatMul", "quern", 1)->infer(plain));
  ctx.set(0, plain.outputs()[0].type);
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  std::vector<Value*> inputs = node.inputs;
  for (size_t i = 0; i < 2; ++i) {
    if (!inputs[i]->type.shape) {
      return unsupported(cat(node.describe(), ": inputs of unknown rank"));
    }
    const size_t rank = inputs[i]->type.shape->size();
    if (!has_batch_axis_last(node, i, rank)) continue;
    inputs[i] = e.add("Transpose", {inputs[i]}, {{"perm", order_of(node, i, rank)}});
  }
  Value* y = e.add_in("quern", 1, "MatMul", std::move(inputs));
  for (const char* name : {"alpha", "transA", "transB"}) {
    if (const AttributeValue* value = node.attribute(name)) {
      y->producer->attributes[name] = *value;
    }
  }
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_fused_matmul;
const OpDef op_fused_matmul = {
    .name = "FusedMatMul",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 2,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
