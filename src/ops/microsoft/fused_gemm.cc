// FusedGemm: Gemm and an activation.
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"activation", AttributeKind::kString},
    {"activation_alpha", AttributeKind::kFloat},
    {"activation_beta", AttributeKind::kFloat},
    {"activation_gamma", AttributeKind::kFloat},
    {"alpha", AttributeKind::kFloat},
    {"beta", AttributeKind::kFloat},
    {"transA", AttributeKind::kInt},
    {"transB", AttributeKind::kInt},
};

Result<void> infer(InferContext& ctx) { return find_op("Gemm", "", kExpansionOpset)->infer(ctx); }

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  std::vector<Value*> inputs = node.inputs;
  Value* y = e.add("Gemm", std::move(inputs));
  y->type = node.outputs[0]->type;
  for (const char* name : {"alpha", "beta", "transA", "transB"}) {
    if (const AttributeValue* value = node.attribute(name)) {
      y->producer->attributes[name] = *value;
    }
  }
  std::vector<float> parameters;
  for (const char* name : {"activation_alpha", "activation_beta", "activation_gamma"}) {
    if (node.attribute(name) != nullptr) parameters.push_back(node.float_or(name, 0));
  }
  QUERN_ASSIGN(y, add_activation(e, node, y, node.string_or("activation", ""), parameters));
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_fused_gemm;
const OpDef op_fused_gemm = {
    .name = "FusedGemm",
    .domain = "com.microsoft",
    .min_inputs = 2,
    .max_inputs = 3,
    .types = kNumeric,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
