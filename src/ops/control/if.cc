// If: one of two bodies. ONNX operators "If" 1, 11, 13, 16, 19, 21, 23.
// The planner's walk runs the body (plan/walk_control.cc); bodies are inferred before the node.

#include "ops/common/merge_types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"then_branch", AttributeKind::kGraph, true},
    {"else_branch", AttributeKind::kGraph, true},
};

Result<void> infer(InferContext& ctx) {
  const Graph* then_branch = ctx.node().subgraph("then_branch");
  const Graph* else_branch = ctx.node().subgraph("else_branch");
  if (then_branch == nullptr || else_branch == nullptr) {
    return ctx.error("needs attributes then_branch and else_branch");
  }
  for (const Graph* branch : {then_branch, else_branch}) {
    if (branch->outputs.size() != ctx.output_count()) {
      return ctx.error(cat("a branch gives ", branch->outputs.size(), " outputs, expected ",
                           ctx.output_count()));
    }
  }
  for (size_t i = 0; i < ctx.output_count(); ++i) {
    ctx.set(i, merge_types(ctx, i, then_branch->outputs[i]->type, else_branch->outputs[i]->type));
  }
  return {};
}

}  // namespace

extern const OpDef op_if;
const OpDef op_if = {
    .name = "If",
    .max_outputs = kVariadic,
    .types = type_bit(DType::kBool),
    .attributes = kAttributes,
    .host_inputs = 1,
    .is_control = true,
    .infer = infer,
};

}  // namespace quern
