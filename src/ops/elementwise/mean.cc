// Mean: of any number of inputs.
#include "ops/common/exprs.h"
#include "ops/common/infer.h"
#include "ops/common/variadic.h"
#include "ops/op_def.h"

namespace quern {
namespace {

/// More inputs than a kernel can bind: their Sum, divided.
Result<bool> expand_mean(Graph& graph, Node& node) {
  if (node.inputs.size() <= kMaxKernelInputs) return false;
  const DType dtype = node.inputs[0]->type.dtype;
  QUERN_ASSIGN(HostTensor count, HostTensor::zeros(dtype, {}));
  count.set_float(0, static_cast<double>(node.inputs.size()));
  Node* sum = graph.add_node("Sum", node.inputs, 1, &node, "", node.version);
  sum->outputs[0]->type = node.outputs[0]->type;
  Node* mean = graph.add_node(
      "Div", {sum->outputs[0], graph.add_constant("", make_constant(std::move(count)))}, 1, &node,
      "", node.version);
  mean->outputs[0]->type = node.outputs[0]->type;
  graph.replace_uses(node.outputs[0], mean->outputs[0]);
  graph.erase(&node);
  return true;
}

}  // namespace

extern const OpDef op_mean;
const OpDef op_mean = {
    .name = "Mean",
    .max_inputs = kVariadic,
    .types = kFloats,
    .is_elementwise = true,
    .infer = [](InferContext& c) { return infer_broadcast(c); },
    .expr = [](ExprContext& c, size_t) -> Result<Expr> {
      QUERN_ASSIGN(Expr sum, variadic_expr(c, ExprOp::kAdd));
      return c.b.div(sum, c.b.number(sum, static_cast<double>(c.input_count())));
    },
    .expand = expand_mean,
};

}  // namespace quern
