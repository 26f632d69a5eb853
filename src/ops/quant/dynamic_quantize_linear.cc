// DynamicQuantizeLinear: u8 over the range of the data with 0 in it, and the scale and zero point
// that follow. Where the range is empty (all are 0) the scale is 1.
#include "ops/common/expansion.h"
#include "ops/op_def.h"

namespace quern {
namespace {

Result<void> infer(InferContext& ctx) {
  ctx.set(0, DType::kU8, ctx.type(0).shape);
  if (ctx.output_count() > 1) ctx.set(1, DType::kF32, Shape{});
  if (ctx.output_count() > 2) ctx.set(2, DType::kU8, Shape{});
  return {};
}

Result<bool> expand(Graph& graph, Node& node) {
  Expansion e(graph, node);
  Value* x = node.input(0);
  const DType type = DType::kF32;
  Value* zero = e.number(type, 0);
  Value* top = e.number(type, 255);
  const auto reduced = [&](const char* op) { return e.add(op, {x}, {{"keepdims", int64_t{0}}}); };
  Value* low = e.add("Min", {reduced("ReduceMin"), zero});
  Value* high = e.add("Max", {reduced("ReduceMax"), zero});
  Value* range = e.add("Sub", {high, low});
  Value* scale = e.add(
      "Where", {e.add("Equal", {range, zero}), e.number(type, 1), e.add("Div", {range, top})});
  Value* shift = e.add("Clip", {e.add("Sub", {zero, e.add("Div", {low, scale})}), zero, top});
  Value* zero_point = e.add("Cast", {e.add("Round", {shift})}, {{"to", int64_t{2}}});
  e.replace(0, e.add("QuantizeLinear", {x, scale, zero_point}));
  e.replace(1, scale);
  e.replace(2, zero_point);
  e.finish();
  return true;
}

}  // namespace

extern const OpDef op_dynamic_quantize_linear;
const OpDef op_dynamic_quantize_linear = {
    .name = "DynamicQuantizeLinear",
    .since = 11,
    .min_outputs = 3,
    .max_outputs = 3,
    .types = type_bit(DType::kF32),
    .infer = infer,
    .expand = expand,
};

}  // namespace quern
