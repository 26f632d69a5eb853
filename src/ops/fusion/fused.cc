// quern.Fused: several nodes as one kernel. Attribute `body` holds them; its inputs and outputs
// are the node's. Made by passes/fuse.cc, lowered through ops/compose.h.

#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"body", AttributeKind::kGraph, true}};

Result<void> infer(InferContext& ctx) {
  const Graph* body = ctx.node().subgraph("body");
  if (body == nullptr || body->outputs.size() != ctx.output_count()) {
    return ctx.error("needs a body with as many outputs");
  }
  for (size_t i = 0; i < ctx.output_count(); ++i) ctx.set(i, body->outputs[i]->type);
  return {};
}

}  // namespace

extern const OpDef op_fused;
const OpDef op_fused = {
    .name = "Fused",
    .domain = "quern",
    .min_inputs = 0,
    .max_inputs = kVariadic,
    .max_outputs = kVariadic,
    .attributes = kAttributes,
    .infer = infer,
};

}  // namespace quern
