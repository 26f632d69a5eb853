// QLinearConcat: quantised tensors of different scales one after another. Inputs: scale and zero
// point of the result, then tensor, scale and zero point, and so on.
#include "ops/common/qlinear.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axis", AttributeKind::kInt, true}};

Result<void> infer(InferContext& ctx) {
  if (ctx.input_count() < 5 || (ctx.input_count() - 2) % 3 != 0) {
    return ctx.error(cat("has ", ctx.input_count(), " inputs"));
  }
  std::vector<InferContext::Input> inputs;
  for (size_t i = 2; i < ctx.input_count(); i += 3) {
    inputs.push_back({.type = ctx.type(i), .present = true});
  }
  InferContext plain(ctx.node(), std::move(inputs));
  QUERN_TRY(find_op("Concat", "", kExpansionOpset)->infer(plain));
  ctx.set(0, ctx.dtype(1), plain.outputs()[0].type.shape);
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  std::vector<Value*> parts;
  for (size_t i = 2; i + 2 < node.inputs.size(); i += 3) {
    const bool same = node.input(i + 1) == node.input(0) && node.input(i + 2) == node.input(1);
    parts.push_back(same ? node.input(i) : add_quantized(e, node, add_dequantized(e, node, i), 0));
  }
  e.replace(0, e.add("Concat", std::move(parts), {{"axis", node.int_or("axis", 0)}}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_qlinear_concat;
const OpDef op_qlinear_concat = {
    .name = "QLinearConcat",
    .domain = "com.microsoft",
    .min_inputs = 5,
    .max_inputs = kVariadic,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
