// Loop: a body repeated. ONNX operators "Loop" 1, 11, 13, 16, 19, 21, 23.
// Inputs: trip count (optional), condition (optional), carried values. Body: iteration number,
// condition, carried values -> condition, carried values, scan outputs.
// The planner's walk runs the body (plan/walk_control.cc); it is inferred before the node, with
// carried types that hold in every iteration (passes/infer_shapes.cc).

#include "ops/common/merge_types.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"body", AttributeKind::kGraph, true}};

Result<void> infer(InferContext& ctx) {
  const Graph* body = ctx.node().subgraph("body");
  if (body == nullptr) return ctx.error("needs attribute body");
  const size_t carried = ctx.input_count() < 2 ? 0 : ctx.input_count() - 2;
  if (body->outputs.size() != ctx.output_count() + 1 || ctx.output_count() < carried ||
      body->inputs.size() != carried + 2) {
    return ctx.error(cat("the body has ", body->inputs.size(), " inputs and ", body->outputs.size(),
                         " outputs, expected ", carried + 2, " and ", ctx.output_count() + 1));
  }
  for (size_t i = 0; i < ctx.output_count(); ++i) {
    const Type& result = body->outputs[i + 1]->type;
    if (i < carried) {
      // After no iteration the value is the initial one.
      ctx.set(i, merge_types(ctx, i, result, ctx.type(i + 2)));
      continue;
    }
    Type scan = result;
    if (scan.shape) scan.shape->insert(scan.shape->begin(), ctx.fresh_dim(i, 0));
    // The element's dims may differ from run to run in ways the body's symbols do not say.
    ctx.set(i, scan);
  }
  return {};
}

}  // namespace

extern const OpDef op_loop;
const OpDef op_loop = {
    .name = "Loop",
    .min_inputs = 0,  // both may be absent, and are then cut off
    .max_inputs = kVariadic,
    .max_outputs = kVariadic,
    .types = kAllTypes,
    .attributes = kAttributes,
    .host_inputs = 3,
    .is_control = true,
    .infer = infer,
};

}  // namespace quern
