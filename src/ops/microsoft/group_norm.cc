// GroupNorm: GroupNormalization, by default of channels along the last axis, and SiLU where
// `activation` is 1.
#include "ops/common/microsoft.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {
    {"activation", AttributeKind::kInt, true},
    {"channels_last", AttributeKind::kInt},
    {"epsilon", AttributeKind::kFloat},
    {"groups", AttributeKind::kInt, true},
};

Result<void> infer(InferContext& ctx) {
  if (ctx.shape(0) != nullptr && ctx.shape(0)->size() < 3) {
    return ctx.error(cat("input ", *ctx.shape(0), " has no spatial axis"));
  }
  ctx.set(0, ctx.type(0));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node, kExpansionOpset);
  Value* x = node.input(0);
  if (!x->type.shape) return unsupported(cat(node.describe(), ": an input of unknown rank"));
  const auto rank = static_cast<int64_t>(x->type.shape->size());
  const bool last = node.int_or("channels_last", 1) != 0;
  const auto transposed = [&](Value* v, bool channels_first) {
    std::vector<int64_t> perm = {0};
    if (channels_first) perm.push_back(rank - 1);
    for (int64_t i = channels_first ? 1 : 2; i < (channels_first ? rank - 1 : rank); ++i) {
      perm.push_back(i);
    }
    if (!channels_first) perm.push_back(1);
    return last ? e.add("Transpose", {v}, {{"perm", perm}}) : v;
  };
  const auto in_type = [&](Value* v) {
    if (v->type.dtype == x->type.dtype) return v;
    return e.add("Cast", {v}, {{"to", static_cast<int64_t>(x->type.dtype)}});
  };
  Value* y = e.add(
      "GroupNormalization", {transposed(x, true), in_type(node.input(1)), in_type(node.input(2))},
      {{"num_groups", node.int_or("groups", 1)}, {"epsilon", node.float_or("epsilon", 1e-5f)}});
  y = transposed(y, false);
  if (node.int_or("activation", 0) != 0) y = e.add("Mul", {y, e.add("Sigmoid", {y})});
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_group_norm;
const OpDef op_group_norm = {
    .name = "GroupNorm",
    .domain = "com.microsoft",
    .min_inputs = 3,
    .max_inputs = 3,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
