// QLinearConv: the convolution of quantised operands, quantised: ConvInteger, the bias (at the
// product's scale) and a change of scale, which fuse.
#include "ops/common/conv.h"
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

enum Input : size_t { kX, kXScale, kXZero, kW, kWScale, kWZero, kYScale, kYZero, kBias };

Result<bool> expand(Graph& graph, Node& node) {
  const auto in = [&](size_t i) { return node.input(i); };
  if (!in(kX)->type.shape || in(kX)->type.shape->size() < 3 || !in(kWScale)->type.shape) {
    return unsupported(cat(node.describe(), ": inputs of unknown rank"));
  }
  Expansion e(graph, node);
  // One number an output channel.
  std::vector<int64_t> channel(in(kX)->type.shape->size() - 1, 1);
  channel[0] = -1;
  const auto of_channels = [&](Value* v) { return e.add("Reshape", {v, e.ints(channel)}); };
  Value* sums = e.add_in("", 10, "ConvInteger", {in(kX), in(kW), in(kXZero), in(kWZero)});
  sums->producer->attributes = node.attributes;
  if (in(kBias) != nullptr) sums = e.add("Add", {sums, of_channels(in(kBias))});
  Value* w_scale = in(kWScale)->type.shape->empty() ? in(kWScale) : of_channels(in(kWScale));
  Value* scale = e.add("Div", {e.add("Mul", {in(kXScale), w_scale}), in(kYScale)});
  e.replace(0, e.add_in("quern", 1, "Requantize", {sums, scale, in(kYZero)}));
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_qlinear_conv;
const OpDef op_qlinear_conv = {
    .name = "QLinearConv",
    .since = 10,
    .min_inputs = 8,
    .max_inputs = 9,
    .types = types_of(DType::kI8, DType::kU8),
    .attributes = kConvAttributes,
    .infer = [](InferContext& ctx) { return infer_conv(ctx, kW, ctx.dtype(kYZero)); },
    .expand = expand,
};

}  // namespace quern
