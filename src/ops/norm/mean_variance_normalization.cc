// MeanVarianceNormalization: (x - mean) / (deviation + 1e-9) over some axes.
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

constexpr AttributeField kAttributes[] = {{"axes", AttributeKind::kInts}};

Result<void> infer(InferContext& ctx) {
  ctx.set(0, ctx.type(0));
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  Value* x = node.input(0);
  const std::vector<int64_t>* given = node.ints("axes");
  const std::vector<int64_t> axes = given != nullptr ? *given : std::vector<int64_t>{0, 2, 3};
  const auto mean = [&](Value* v) {
    if (node.version < 18)
      return e.add("ReduceMean", {v}, {{"axes", axes}, {"keepdims", int64_t{1}}});
    return e.add("ReduceMean", {v, e.ints(axes)}, {{"keepdims", int64_t{1}}});
  };
  // From the centred values: stable, unlike the specification's difference of squares.
  Value* centred = e.add("Sub", {x, mean(x)});
  Value* deviation = e.add("Sqrt", {mean(e.add("Mul", {centred, centred}))});
  Value* y = e.add("Div", {centred, e.add("Add", {deviation, e.number(x->type.dtype, 1e-9)})});
  e.replace(0, y);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_mean_variance_normalization;
const OpDef op_mean_variance_normalization = {
    .name = "MeanVarianceNormalization",
    .since = 9,
    .types = kFloats,
    .attributes = kAttributes,
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
