// FusedConv: Conv, plus z, and an activation.
#include "ops/common/conv.h"
#include "ops/common/microsoft.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"activation", AttributeKind::kString}, {"activation_params", AttributeKind::kFloats},
    {"auto_pad", AttributeKind::kString},   {"dilations", AttributeKind::kInts},
    {"group", AttributeKind::kInt},         {"kernel_shape", AttributeKind::kInts},
    {"pads", AttributeKind::kInts},         {"strides", AttributeKind::kInts},
};

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  std::vector<Value*> inputs = {node.input(0), node.input(1)};
  if (node.input(2) != nullptr) inputs.push_back(node.input(2));
  Value* y = e.add("Conv", std::move(inputs));
  y->type = node.outputs[0]->type;
  y->producer->attributes = node.attributes;
  y->producer->attributes.erase("activation");
  y->producer->attributes.erase("activation_params");
  if (node.input(3) != nullptr) y = e.add("Add", {y, node.input(3)});
  y->type = node.outputs[0]->type;
  const std::vector<float>* given = node.floats("activation_params");
  QUERN_ASSIGN(y, add_activation(e, node, y, node.string_or("activation", ""),
                                 given != nullptr ? *given : std::vector<float>()));
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_fused_conv;
const OpDef op_fused_conv = {
    .name = "FusedConv",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 4,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = [](InferContext& ctx) { return infer_conv(ctx, 1, ctx.dtype(0)); },
    .expand = expand,
};

}  // namespace quern
